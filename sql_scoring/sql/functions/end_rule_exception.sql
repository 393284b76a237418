-- Ends an exception early.
CREATE OR REPLACE FUNCTION scoring.end_rule_exception(p_exception_id bigint, p_by text DEFAULT session_user)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE scoring.rule_exceptions AS e
    SET ended_at = clock_timestamp(), ended_by = p_by
    WHERE e.exception_id = p_exception_id AND e.ended_at IS NULL AND e.ends_at > clock_timestamp();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no active exception %', p_exception_id USING ERRCODE = 'no_data_found';
    END IF;
END
$$;
