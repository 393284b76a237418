-- Guards rows that bring a past along: history, which does not fire score_on_insert, and restored rows, which bring
-- received_at. Any session can set rowguard.load_history, so the guard checks the caller's privilege, which a SECURITY
-- DEFINER function could not: TRIGGER is the owner's. An owner's mistake is an error; what a client sends is dropped,
-- and score_on_insert, which follows in the order of names, scores the row.
CREATE OR REPLACE FUNCTION scoring.guard_history_load()
RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_is_loading boolean := current_setting('rowguard.load_history', true) IS NOT DISTINCT FROM 'on';
    v_is_owner boolean := has_table_privilege(TG_RELID, 'TRIGGER');
BEGIN
    IF NEW.is_history AND v_is_loading AND v_is_owner THEN
        RETURN NEW;
    END IF;
    IF NEW.is_history AND v_is_loading THEN
        RAISE EXCEPTION 'only the owner of % may load history', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF v_is_owner THEN
        RAISE EXCEPTION 'this row brings %, and the trigger would decide it again as a new one',
            CASE WHEN NEW.is_history THEN 'is_history' ELSE 'received_at' END
            USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'To load history run: rowguard import. To restore rows see docs/how-to/restore.md.';
    END IF;
    NEW.is_history := false;
    RETURN NEW;
END
$$;
