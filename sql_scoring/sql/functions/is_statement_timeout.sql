-- Whether a canceled statement ran out of its time. One that a client or an administrator cancels must end.
CREATE OR REPLACE FUNCTION scoring.is_statement_timeout()
RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_statement_timeout interval := current_setting('statement_timeout')::interval;
BEGIN
    RETURN v_statement_timeout > interval '0' AND clock_timestamp() - statement_timestamp() >= v_statement_timeout;
END
$$;
