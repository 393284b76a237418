-- The facade of the rule set in force, as it is without one. bind_outcomes replaces the body; the planner copies it into
-- the caller's expression. Callers ask uses_outcomes first.
CREATE OR REPLACE FUNCTION scoring.decide_outcome(
    p_request scoring.scoring_request,
    p_decision scoring.decision,
    p_is_control boolean,
    p_is_unscored boolean,
    p_at timestamptz
)
RETURNS scoring.outcome
LANGUAGE sql STABLE
RETURN NULL::scoring.outcome;
