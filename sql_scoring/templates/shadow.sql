-- Generated: of champion and challenger, the one that did not decide adds its score. It is stored on the same row, so it
-- commits with the decision or not at all. No error of it changes the decision.
CREATE OR REPLACE FUNCTION scoring.shadow_score(p_request scoring.scoring_request, p_decision scoring.decision)
RETURNS scoring.shadow_score
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    s scoring.shadow_score;
BEGIN
    IF p_decision.model_version = {champion_literal} THEN
        s.model_version := {challenger_literal};
        s.feature_values := {challenger_features};
        s.probability := {challenger_function}(coalesce(s.feature_values, p_decision.feature_values));
    ELSIF p_decision.model_version = {challenger_literal} THEN
        s.model_version := {champion_literal};
        s.feature_values := {champion_features};
        s.probability := {champion_function}(coalesce(s.feature_values, p_decision.feature_values));
    END IF;
    RETURN s;
EXCEPTION
    WHEN OTHERS THEN
        s.error := left(SQLSTATE || ': ' || SQLERRM, 500);
        RETURN s;
END
$$;
