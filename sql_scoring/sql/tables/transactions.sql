-- One row per transaction. Every key carries user_id, so that the table can be distributed by it.
CREATE SEQUENCE public.transactions_transaction_id_seq AS bigint;

CREATE TABLE public.transactions (
    user_id bigint NOT NULL,
    transaction_id bigint NOT NULL DEFAULT nextval('public.transactions_transaction_id_seq'::regclass),
    -- When it happened. Left out on INSERT, the trigger sets it after it holds the user's lock.
    occurred_at timestamptz NOT NULL,
    -- When the database got it: per user, the order of arrival. Set by the trigger or by the loader.
    received_at timestamptz NOT NULL,
    -- Loaded afterwards and never decided at its time; features of such rows go by event time.
    is_history boolean NOT NULL DEFAULT false,
    amount numeric NOT NULL,
    -- The amount in ten-thousandths as a whole number: sums of it are exact in any order (below 2^53).
    amount_units double precision GENERATED ALWAYS AS ((amount * 10000)::double precision) STORED,
    merchant_id bigint,
    location text,
    idempotency_key text,
    -- The decision. Set by the trigger alone.
    fraud_flag text,
    fraud_probability double precision,
    model_version text,
    scored_at timestamptz,
    feature_values real[],
    -- Why the row has no decision although a model is deployed.
    unscored_reason text,
    CONSTRAINT transactions_pkey PRIMARY KEY (user_id, transaction_id),
    CONSTRAINT transactions_amount_range CHECK (amount >= 0 AND amount < 1e12),
    CONSTRAINT transactions_amount_decimals CHECK (min_scale(amount) <= 4),
    CONSTRAINT transactions_location_length CHECK (length(location) <= 64),
    CONSTRAINT transactions_idempotency_key_length CHECK (length(idempotency_key) BETWEEN 1 AND 255)
);

ALTER SEQUENCE public.transactions_transaction_id_seq OWNED BY public.transactions.transaction_id;

-- The trigger's velocity read: one range of this index per user. The columns that features aggregate stand in
-- it, so that older rows, which lie scattered over as many pages, need not be visited.
CREATE INDEX transactions_user_occurred_idx ON public.transactions (user_id, occurred_at)
INCLUDE (amount, amount_units, merchant_id, location);

-- Retries with the same key give one row; per user, as unique constraints must carry user_id.
CREATE UNIQUE INDEX transactions_idempotency_idx ON public.transactions (user_id, idempotency_key)
WHERE idempotency_key IS NOT NULL;

-- Live rows without a decision, for the list and for rescoring; a row that is decided never enters it.
CREATE INDEX transactions_unscored_idx ON public.transactions (user_id, received_at)
WHERE model_version IS NULL AND NOT is_history;
