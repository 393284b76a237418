-- The shadow score of a decided row, as it is without a challenger: none. The revision that deploys a challenger
-- replaces the body; score_on_insert calls it when the decision asks for it.
CREATE OR REPLACE FUNCTION scoring.shadow_score(p_request scoring.scoring_request, p_decision scoring.decision)
RETURNS scoring.shadow_score
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN NULL;
END
$$;
