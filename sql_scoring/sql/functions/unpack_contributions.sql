-- The contributions of a packed sum, by the position of the feature. A slot has 20 digits, in units of 1e-17; the bias
-- made it positive.
CREATE OR REPLACE FUNCTION scoring.unpack_contributions(p_packed numeric, p_bias numeric, p_slots integer[])
RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_digits text := lpad((p_packed + p_bias)::text, 20 * cardinality(p_slots), '0');
    v_contributions double precision[] := '{}';
BEGIN
    FOR v_position IN 1..cardinality(p_slots) LOOP
        v_contributions[v_position] := (
            substr(v_digits, 20 * (cardinality(p_slots) - p_slots[v_position]) - 19, 20)::numeric
            - 50000000000000000000
        )::double precision / 1e17::double precision;
    END LOOP;
    RETURN v_contributions;
END
$$;
