-- A decision whose feature values are in the order of another feature list: item i of the result is item p_positions[i]
-- of the decision's, NULL where the model does not have that feature.
CREATE OR REPLACE FUNCTION scoring.remap_features(p_decision scoring.decision, p_positions integer[])
RETURNS scoring.decision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    d scoring.decision := p_decision;
BEGIN
    d.feature_values := ARRAY(
        SELECT p_decision.feature_values[p.position]
        FROM unnest(p_positions) WITH ORDINALITY AS p (position, n)
        ORDER BY p.n
    );
    RETURN d;
END
$$;
