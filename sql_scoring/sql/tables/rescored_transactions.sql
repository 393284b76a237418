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
