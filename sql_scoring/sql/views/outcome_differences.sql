-- Rows whose stored outcome is not what its rule set computes again: none, or a defect. Bound it by received_at.
CREATE VIEW scoring.outcome_differences AS
SELECT t.user_id, t.transaction_id, t.received_at, t.rule_set_version, t.outcome, r.outcome AS replayed_outcome
FROM public.transactions AS t
CROSS JOIN LATERAL scoring.replay_outcome(t.user_id, t.transaction_id) AS r
WHERE
    t.rule_set_version IS NOT NULL
    AND (t.outcome, t.outcome_reasons, t.rule_set_version, t.matched_rules)
    IS DISTINCT FROM (r.outcome, r.outcome_reasons, r.rule_set_version, r.matched_rules);
