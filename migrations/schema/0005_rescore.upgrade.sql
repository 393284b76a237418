-- Frozen: what this revision added to the schema. Later changes are revisions of their own.

-- One row per live transaction that was stored without a decision and decided later by `rowguard rescore`:
-- what the row said before. scored_at on the transaction itself is then later than received_at.
CREATE TABLE scoring.rescored_transactions (
    user_id bigint NOT NULL,
    transaction_id bigint NOT NULL,
    unscored_reason text,
    model_version text NOT NULL,
    rescored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    rescored_by text NOT NULL DEFAULT session_user,
    CONSTRAINT rescored_transactions_pkey PRIMARY KEY (user_id, transaction_id),
    CONSTRAINT rescored_transactions_transaction_fkey FOREIGN KEY (user_id, transaction_id)
    REFERENCES public.transactions (user_id, transaction_id) ON DELETE CASCADE
);

-- Runs the champion once, so that a connection's first client does not wait while PostgreSQL reads and plans the
-- functions: poolers and pools call it on connecting. Answers the version, NULL before any model is deployed.
-- User 0 stands for nobody. Whatever goes wrong, connecting goes on.
CREATE OR REPLACE FUNCTION public.warm_scoring()
RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_decision scoring.decision;
BEGIN
    v_decision := scoring.score_basic(1, NULL, NULL, NULL);
    v_decision := scoring.score_candidate(0, 1, NULL, NULL, clock_timestamp());
    RETURN v_decision.model_version;
EXCEPTION
    WHEN OTHERS THEN
        RAISE DEBUG 'scoring is not warm: %', SQLERRM;
        RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION public.warm_scoring() FROM public;

GRANT EXECUTE ON FUNCTION public.warm_scoring() TO rowguard_app, rowguard_api, rowguard_trainer;

GRANT SELECT ON scoring.rescored_transactions TO rowguard_trainer, rowguard_readonly;
