-- Runs the champion once, so that a connection's first client does not wait while PostgreSQL reads and plans the
-- functions: poolers and pools call it on connecting. Answers the version, NULL before any model is deployed. User
-- 0 stands for nobody, who was never anywhere: so the look for an earlier visit is planned as well. Whatever goes
-- wrong, connecting goes on.
CREATE OR REPLACE FUNCTION public.warm_scoring()
RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_decision scoring.decision;
    v_insert scoring.insert_decision;
BEGIN
    v_insert := scoring.decide_insert(0, 1, 0, '', clock_timestamp());
    v_decision := scoring.score_basic(1, NULL, NULL, NULL);
    v_decision := scoring.score_candidate(0, 1, 0, '', clock_timestamp());
    RETURN v_decision.model_version;
EXCEPTION
    WHEN OTHERS THEN
        RAISE DEBUG 'scoring is not warm: %', SQLERRM;
        RETURN NULL;
END
$$;
