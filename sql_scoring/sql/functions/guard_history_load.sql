-- Guards the loading of history, whose rows do not fire score_on_insert. Any session can set rowguard.load_history,
-- so the guard checks the caller's privilege, which a SECURITY DEFINER function could not: TRIGGER is the owner's.
-- Without the setting the row is a live one, and score_on_insert, which follows in the order of names, scores it.
CREATE OR REPLACE FUNCTION scoring.guard_history_load()
RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('rowguard.load_history', true) IS DISTINCT FROM 'on' THEN
        NEW.is_history := false;
    ELSIF NOT has_table_privilege(TG_RELID, 'TRIGGER') THEN
        RAISE EXCEPTION 'only the owner of % may load history', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
