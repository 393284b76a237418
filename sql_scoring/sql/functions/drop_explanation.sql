-- Removes what build_explanation wrote for a model; its document in scoring.models is kept.
CREATE OR REPLACE FUNCTION scoring.drop_explanation(p_version text)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_model_id integer;
BEGIN
    DELETE FROM scoring.explanations AS e WHERE e.version = p_version RETURNING e.model_id INTO v_model_id;
    DELETE FROM scoring.explanation_features AS f WHERE f.model_id = v_model_id;
    DELETE FROM scoring.explanation_nodes AS n WHERE n.model_id = v_model_id;
    DELETE FROM scoring.explanation_conditions AS c WHERE c.model_id = v_model_id;
    DELETE FROM scoring.explanation_masks AS k WHERE k.model_id = v_model_id;
    DELETE FROM scoring.explanation_states AS s WHERE s.model_id = v_model_id;
END
$$;
