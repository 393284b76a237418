-- The facade as it is before any model: no decision. Each model revision replaces its body with one that
-- names the model's own feature function and scoring function; callers know only this name.
CREATE OR REPLACE FUNCTION scoring.score_candidate(
    p_user_id bigint,
    p_amount numeric,
    p_merchant_id bigint,
    p_location text,
    p_occurred_at timestamptz
)
RETURNS scoring.decision
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN NULL;
END
$$;
