-- Whether the inserting role may store a row as history, which is not decided. The domain of is_history asks, as it is
-- checked with the rights of that role; a trigger runs with its owner's. Any session can set rowguard.load_history, so
-- it says only what the owner means: TRIGGER is the owner's privilege.
CREATE OR REPLACE FUNCTION scoring.may_load_history()
RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT has_table_privilege('public.transactions', 'TRIGGER') THEN
        RAISE EXCEPTION 'only the owner of transactions may load history' USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- Without the trigger no row is decided: a restore, whose triggers come last, or one with triggers switched off.
    IF current_setting('rowguard.load_history', true) IS DISTINCT FROM 'on'
        AND current_setting('session_replication_role') <> 'replica'
        AND EXISTS (
            SELECT FROM pg_trigger AS t
            WHERE t.tgrelid = 'public.transactions'::regclass AND t.tgname = 'score_on_insert' AND t.tgenabled <> 'D'
        )
    THEN
        RAISE EXCEPTION 'this row brings is_history, which only loading keeps'
            USING ERRCODE = 'object_not_in_prerequisite_state', COLUMN = 'is_history',
            HINT = 'To load history run: rowguard import, or SET LOCAL rowguard.load_history = on. To have the row decided'
            ' leave is_history out.';
    END IF;
    RETURN true;
END
$$;
