-- For remap_features: where each of some features is in a list, NULL where it is not; NULL if the lists are the same.
CREATE OR REPLACE FUNCTION scoring.map_features(p_names text[], p_of_model text[])
RETURNS integer[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN p_of_model[:cardinality(p_names)] IS DISTINCT FROM p_names THEN ARRAY(
    SELECT array_position(p_of_model, n.name) FROM unnest(p_names) WITH ORDINALITY AS n (name, n) ORDER BY n.n
) END;
$$;
