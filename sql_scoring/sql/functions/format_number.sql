-- A number for readers: four significant digits, and all digits before the point.
CREATE OR REPLACE FUNCTION scoring.format_number(p_value double precision)
RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_value = 0 OR abs(p_value) = 'Infinity' THEN
        RETURN p_value::text;
    END IF;
    RETURN trim_scale(round(p_value::numeric, least(20, greatest(0, 3 - floor(log(abs(p_value)))::integer))))::text;
END
$$;
