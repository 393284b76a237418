-- Refuses what no transaction can be, with one clear line. The table's constraints say the same of the
-- stored row; this one serves callers who only ask for a score, and times, which no constraint can check.
CREATE OR REPLACE FUNCTION scoring.check_transaction(p_amount numeric, p_occurred_at timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT (p_amount >= 0 AND p_amount < 1e12) THEN
        RAISE EXCEPTION 'amount % is not between 0 and 1e12', p_amount
            USING ERRCODE = 'check_violation', COLUMN = 'amount';
    END IF;
    IF min_scale(p_amount) > 4 THEN
        RAISE EXCEPTION 'amount % has more than 4 decimals', p_amount
            USING ERRCODE = 'check_violation', COLUMN = 'amount';
    END IF;
    IF p_occurred_at > clock_timestamp() + interval '24 hours' THEN
        RAISE EXCEPTION 'occurred_at % is more than a day in the future', p_occurred_at
            USING ERRCODE = 'datetime_field_overflow', COLUMN = 'occurred_at';
    END IF;
    IF p_occurred_at < timestamptz '1970-01-01 00:00:00+00' THEN
        RAISE EXCEPTION 'occurred_at % is before 1970', p_occurred_at
            USING ERRCODE = 'datetime_field_overflow', COLUMN = 'occurred_at';
    END IF;
END
$$;
