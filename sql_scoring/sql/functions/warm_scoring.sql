-- Runs the champion once, so that a connection's first client does not wait while PostgreSQL reads and plans the
-- functions: poolers and pools call it on connecting. Returns the version, NULL before any model is deployed. A user
-- with rows at an unusual location, so that every lookup is planned. No error keeps a connection from being used.
CREATE OR REPLACE FUNCTION public.warm_scoring()
RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    d scoring.decision;
    v_request scoring.scoring_request;
    o scoring.outcome;
BEGIN
    d := scoring.decide_from_features(1, NULL, NULL, NULL);
    v_request := ROW(
        (SELECT t.user_id FROM public.transactions AS t ORDER BY t.user_id LIMIT 1), 1, clock_timestamp()
        /* for each column: , {unusual_value} */
    )::scoring.scoring_request;
    d := scoring.decide_transaction(v_request);
    IF scoring.uses_outcomes() THEN
        o := scoring.decide_outcome(v_request, d, false, false, clock_timestamp());
    END IF;
    RETURN d.model_version;
EXCEPTION
    WHEN OTHERS THEN
        RAISE DEBUG 'scoring is not warm: %', SQLERRM;
        RETURN NULL;
END
$$;
