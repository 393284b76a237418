-- The amount that a number is: itself with at most four decimals, or the one within a billionth of it, as drivers write
-- 0.1 + 0.2 as 0.30000000000000004. NULL if it is none. rowguard/amounts.py has the same rule. Not in SQL: PostgreSQL
-- would copy the body into the domain's CHECK, and set it up for each INSERT (some 20 thousand instructions).
CREATE OR REPLACE FUNCTION scoring.remove_amount_noise(p_number numeric)
RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN CASE
        WHEN min_scale(p_number) <= 4 THEN p_number
        WHEN abs(p_number - round(p_number, 4)) < 1e-9 AND round(p_number, 4) BETWEEN 0.0001 AND 999999999999.9999
            THEN trim_scale(round(p_number, 4))
    END;
END
$$;
