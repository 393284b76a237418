-- What matched_rules of a transaction says: kind is list, suppressed or rule, number a list_id or a rule's position.
CREATE OR REPLACE FUNCTION scoring.unpack_rule_codes(p_matched_rules bytea)
RETURNS TABLE (kind text, number integer)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN c.code >= 49152 THEN 'suppressed' WHEN c.code >= 32768 THEN 'list' ELSE 'rule' END, c.code & 16383
FROM (
    SELECT get_byte(p_matched_rules, i) * 256 + get_byte(p_matched_rules, i + 1) AS code
    FROM generate_series(0, octet_length(p_matched_rules) - 2, 2) AS i
) AS c;
$$;
