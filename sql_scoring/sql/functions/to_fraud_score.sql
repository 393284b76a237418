-- A decision in the words that callers read; refuses when there is none.
CREATE OR REPLACE FUNCTION scoring.to_fraud_score(p_decision scoring.decision)
RETURNS public.fraud_score
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_score public.fraud_score;
BEGIN
    IF p_decision.model_version IS NULL THEN
        RAISE EXCEPTION 'no model is deployed yet'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Run: rowguard retrain';
    END IF;
    v_score.prediction := p_decision.is_fraud::integer;
    v_score.probability := CASE
        WHEN p_decision.is_fraud THEN p_decision.fraud_probability
        ELSE 1 - p_decision.fraud_probability
    END;
    v_score.flag := CASE WHEN p_decision.is_fraud THEN 'FRAUD' ELSE 'LEGITIMATE' END;
    v_score.fraud_probability := p_decision.fraud_probability;
    v_score.model_version := p_decision.model_version;
    RETURN v_score;
END
$$;
