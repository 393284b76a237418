-- What each feature value contributed to the model's output, relative to base_value; the champion by default. A NULL
-- value is missing.
CREATE OR REPLACE FUNCTION public.explain_features(
    feature_values real[],
    model_version text DEFAULT NULL,
    top integer DEFAULT NULL
)
RETURNS TABLE (
    rank integer,
    feature text,
    value double precision,
    contribution double precision,
    reason_code text,
    reason text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_model scoring.explanations := scoring.get_explanation(model_version);
BEGIN
    PERFORM scoring.check_feature_values(v_model, feature_values);
    RETURN QUERY
    SELECT d.*
    FROM scoring.describe_contributions(
        v_model, feature_values, scoring.compute_contributions(v_model, feature_values), top, 'en'
    ) AS d;
END
$$;
