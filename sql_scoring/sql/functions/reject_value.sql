-- Fails the CHECK of a domain with an error that names the column, which the CHECK alone would not. The value is in the
-- detail, which log_error_verbosity = terse keeps out of the server's log.
CREATE OR REPLACE FUNCTION scoring.reject_value(p_column text, p_value text, p_problem text)
RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION '% %', p_column, p_problem
        USING ERRCODE = 'check_violation', COLUMN = p_column, DETAIL = format('It is %L.', left(p_value, 40));
END
$$;
