-- A decision as its callers read it; an error when there is none.
CREATE OR REPLACE FUNCTION scoring.to_fraud_score(p_decision scoring.decision, p_outcome scoring.outcome DEFAULT NULL)
RETURNS public.fraud_score
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_decision.model_version IS NULL THEN
        RAISE EXCEPTION 'no model is deployed yet'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Run: rowguard retrain';
    END IF;
    RETURN (
        p_decision.is_fraud::integer,
        CASE
            WHEN p_decision.is_fraud THEN p_decision.fraud_probability
            ELSE 1 - p_decision.fraud_probability
        END,
        CASE WHEN p_decision.is_fraud THEN 'FRAUD' ELSE 'LEGITIMATE' END,
        p_decision.fraud_probability,
        p_decision.model_version,
        p_outcome.outcome,
        p_outcome.outcome_reasons,
        p_outcome.rule_set_version
    );
END
$$;
