-- Rejects a time that no transaction can have. Amounts, locations and keys are checked by their types.
CREATE OR REPLACE FUNCTION scoring.check_transaction(p_occurred_at timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_occurred_at > clock_timestamp() + interval '24 hours' OR p_occurred_at < timestamptz '1970-01-01 00:00:00+00' THEN
        RAISE EXCEPTION 'occurred_at is before 1970 or more than a day in the future' USING
            ERRCODE = 'datetime_field_overflow', COLUMN = 'occurred_at', DETAIL = format('It is %s.', p_occurred_at);
    END IF;
END
$$;
