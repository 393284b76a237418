-- The owner changed what totals are computed from. Row by row: a trigger with a column list has no transition tables.
CREATE OR REPLACE FUNCTION scoring.invalidate_totals_on_update()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM scoring.invalidate_totals(OLD.user_id);
    IF NEW.user_id <> OLD.user_id THEN
        PERFORM scoring.invalidate_totals(NEW.user_id);
    END IF;
    RETURN NULL;
END
$$;
