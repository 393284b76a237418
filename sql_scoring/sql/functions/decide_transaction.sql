-- The facade as it is before any model: no decision, only the user's last row. Each model revision replaces its body
-- with one that names the model's own feature function and scoring function; callers know only this name.
CREATE OR REPLACE FUNCTION scoring.decide_transaction(p_request scoring.scoring_request)
RETURNS scoring.decision
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    d scoring.decision;
BEGIN
    SELECT t.occurred_at, t.txns_through, t.amount_through, t.amount_squares_through
    INTO d.last_occurred_at, d.txns_through_last, d.amount_through_last, d.amount_squares_through_last
    FROM scoring.totals_through AS t
    WHERE t.user_id = p_request.user_id
    ORDER BY t.occurred_at DESC, t.user_txns_before DESC
    LIMIT 1;
    RETURN d;
END
$$;
