-- Guards the loading of history, which is not scored. Anybody can set rowguard.load_history, so the guard asks who
-- inserts; as the caller, which score_on_insert with its owner's rights could not. The right to put triggers on the
-- table is its owner's, and is asked for quickly.
CREATE OR REPLACE FUNCTION scoring.keep_history_undecided()
RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('rowguard.load_history', true) = 'on' THEN
        IF NOT has_table_privilege(TG_RELID, 'TRIGGER') THEN
            RAISE EXCEPTION 'only the owner of % may load history', TG_TABLE_NAME
                USING ERRCODE = 'insufficient_privilege';
        END IF;
    END IF;
    RETURN NEW;
END
$$;
