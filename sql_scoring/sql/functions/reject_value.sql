-- Fails the CHECK of a domain with an error that names the column, which the CHECK alone would not.
CREATE OR REPLACE FUNCTION scoring.reject_value(p_column text, p_value text, p_problem text)
RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION '% % %', p_column, left(p_value, 40), p_problem USING ERRCODE = 'check_violation', COLUMN = p_column;
END
$$;
