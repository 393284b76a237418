-- The codes of a decision's reasons, for the row; empty where nothing raised the score by enough.
CREATE OR REPLACE FUNCTION scoring.get_reason_codes(p_model_version text, p_feature_values real[])
RETURNS text[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_model scoring.explanations := scoring.get_explanation(p_model_version);
BEGIN
    RETURN ARRAY(
        SELECT r.reason_code
        FROM scoring.summarize_reasons(
            v_model, p_feature_values, scoring.compute_contributions(v_model, p_feature_values), 'en'
        ) AS r
        ORDER BY r.rank
    );
END
$$;
