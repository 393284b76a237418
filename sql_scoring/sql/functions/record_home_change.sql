-- Stores each change of a user's home: the live read takes the current one, training needs the past.
CREATE OR REPLACE FUNCTION scoring.record_home_change()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO scoring.user_home_history AS h (user_id, valid_from, home_location)
    VALUES (coalesce(NEW.user_id, OLD.user_id), clock_timestamp(), NEW.home_location)
    ON CONFLICT (user_id, valid_from) DO UPDATE SET home_location = excluded.home_location;
    RETURN NULL;
END
$$;
