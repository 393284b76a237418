-- Guards the loading of history, which does not fire the scoring trigger: only the owner may load. The setting is
-- asked for here and not in the trigger's WHEN, whose text PostgreSQL reads anew for every statement.
CREATE OR REPLACE FUNCTION scoring.keep_history_undecided()
RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('rowguard.load_history', true) = 'on' THEN
        IF pg_has_role(current_user, (SELECT c.relowner FROM pg_class AS c WHERE c.oid = TG_RELID), 'USAGE') THEN
            RETURN NEW; -- nothing for a statement, the row for a row
        END IF;
        RAISE EXCEPTION 'only the owner of % may load history', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
