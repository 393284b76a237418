-- The rule set without rules, which decides while there are lists only: an alert of the model is declined.
CREATE OR REPLACE FUNCTION scoring.rule_set_0(
    p_request scoring.scoring_request,
    p_decision scoring.decision,
    p_lists text[],
    p_is_control boolean,
    p_is_unscored boolean,
    p_at timestamptz,
    p_suppressed integer[] DEFAULT NULL
)
RETURNS scoring.outcome
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_lists IS NULL AND NOT (p_is_control OR p_is_unscored OR coalesce(p_decision.is_fraud, false)) THEN
        RETURN ROW('approve', NULL, 0, NULL)::scoring.outcome;
    END IF;
    RETURN scoring.combine_outcome(
        0, p_request, p_decision, p_lists, p_is_control, p_is_unscored, p_at, '{}', '{}', '{}', '{}', '{}', '{}', NULL,
        NULL, 'review'
    );
END
$$;
