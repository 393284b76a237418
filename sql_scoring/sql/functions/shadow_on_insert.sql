-- The second opinion as it is without a challenger: none. The revision that deploys a challenger replaces the
-- body with one that puts the other model's score on the row; the trigger itself stays, because creating one
-- would make every insert wait for the oldest open transaction.
CREATE OR REPLACE FUNCTION scoring.shadow_on_insert()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- What a client sends is dropped, not trusted.
    IF NEW.is_let_through IS DISTINCT FROM false
        OR num_nonnulls(
            NEW.shadow_version, NEW.shadow_probability, NEW.shadow_feature_values, NEW.shadow_error
        ) > 0
    THEN
        NEW.is_let_through := false;
        NEW.shadow_version := NULL;
        NEW.shadow_probability := NULL;
        NEW.shadow_feature_values := NULL;
        NEW.shadow_error := NULL;
    END IF;
    RETURN NEW;
END
$$;
