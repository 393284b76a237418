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
        s.probability := {challenger_score};
    ELSIF p_decision.model_version = {challenger_literal} THEN
        s.model_version := {champion_literal};
        s.feature_values := {champion_features};
        s.probability := {champion_score};
    END IF;
    RETURN s;
EXCEPTION
    -- A statement that ran out of time keeps its decision, as no challenger may cost a payment; one that a client
    -- cancels ends.
    WHEN query_canceled OR OTHERS THEN
        IF SQLSTATE = '57014' AND (
            current_setting('statement_timeout')::interval > interval '0'
            AND clock_timestamp() - statement_timestamp() >= current_setting('statement_timeout')::interval
        ) IS NOT TRUE THEN
            RAISE;
        END IF;
        s.error := left(SQLSTATE || ': ' || SQLERRM, 500);
        RETURN s;
END
$$;
