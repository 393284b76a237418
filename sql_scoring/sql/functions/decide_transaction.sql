-- The facade as it is before any model: no decision. Each model revision replaces its body with one that names the
-- model's own feature function and scoring function; callers know only this name.
CREATE OR REPLACE FUNCTION scoring.decide_transaction(p_request scoring.scoring_request)
RETURNS scoring.decision
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN NULL;
END
$$;
