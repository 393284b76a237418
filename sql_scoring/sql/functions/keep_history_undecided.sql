-- Guards the loading of history: a row that says it is history does not fire score_on_insert. Anybody can set
-- rowguard.load_history, so the guard asks who inserts; as the caller, which a function with its owner's rights
-- could not. The right to put triggers on the table is its owner's, and is asked for quickly. Who is not loading
-- history gets the mark taken away, and score_on_insert, which comes after in the order of names, decides the row
-- as any other.
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
    ELSE
        NEW.is_history := false;
    END IF;
    RETURN NEW;
END
$$;
