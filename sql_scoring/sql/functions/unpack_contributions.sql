-- The contributions of a packed sum, by the position of the feature. A slot has 20 digits, in units of 1e-17; the bias
-- made it positive. Cut as bytes: in a text of UTF-8 each cut would count characters from the start.
CREATE OR REPLACE FUNCTION scoring.unpack_contributions(p_packed numeric, p_bias numeric, p_slots integer[])
RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_length integer := 20 * cardinality(p_slots);
    v_digits bytea := convert_to(lpad((p_packed + p_bias)::text, v_length, '0'), 'SQL_ASCII');
BEGIN
    RETURN ARRAY(
        SELECT
            (
                encode(substring(v_digits FROM v_length - 20 * s.slot - 19 FOR 20), 'escape')::numeric
                - 50000000000000000000
            )::double precision / 1e17::double precision
        FROM unnest(p_slots) WITH ORDINALITY AS s (slot, position)
        ORDER BY s.position
    );
END
$$;
