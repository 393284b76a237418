-- The second opinion as it is without a challenger: none. The revision that deploys a challenger replaces the
-- body with one that puts the other model's score on the row; the trigger itself stays, because creating one
-- would make every insert wait for the oldest open transaction. Fired only when score_on_insert asks for it.
CREATE OR REPLACE FUNCTION scoring.shadow_on_insert()
RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NEW.shadow_version = '' THEN -- the mark; a loaded row keeps what it brought along
        NEW.shadow_version := NULL;
    END IF;
    RETURN NEW;
END
$$;
