-- One row per backfilled decision: a live transaction that was stored unscored and that `rowguard rescore` scored,
-- with the reason it had before. Its scored_at is later than its received_at.
CREATE TABLE scoring.rescored_transactions (
    user_id bigint /* key type */ NOT NULL,
    transaction_id bigint NOT NULL,
    unscored_reason text,
    model_version text NOT NULL,
    rescored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    rescored_by text NOT NULL DEFAULT session_user,
    CONSTRAINT rescored_transactions_pkey PRIMARY KEY (user_id, transaction_id),
    CONSTRAINT rescored_transactions_transaction_fkey FOREIGN KEY (user_id, transaction_id)
    REFERENCES public.transactions (user_id, transaction_id) ON DELETE CASCADE
);
