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
    -- Read only by the feature functions of models that were trained before there were running totals.
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
    -- Running totals of the user's rows before this one, in order of (occurred_at, arrival): two of them give the
    -- totals of any window, however many rows it has. NULL until known; while a user has such a row, the
    -- features are read row by row.
    user_txns_before bigint,
    user_amount_before numeric,
    user_amount_squares_before numeric,
    -- Judged fraud, and let through by chance so that its label is learnt: fraud_flag says LEGITIMATE.
    is_let_through boolean NOT NULL DEFAULT false,
    -- What the other of champion and challenger says about the row, while there is a challenger.
    shadow_version text,
    shadow_probability double precision,
    -- What the other model saw, where that is not feature_values.
    shadow_feature_values real[],
    shadow_error text,
    CONSTRAINT transactions_pkey PRIMARY KEY (user_id, transaction_id),
    CONSTRAINT transactions_amount_range CHECK (amount >= 0 AND amount < 1e12),
    CONSTRAINT transactions_amount_decimals CHECK (min_scale(amount) <= 4),
    CONSTRAINT transactions_location_length CHECK (length(location) <= 64),
    CONSTRAINT transactions_idempotency_key_length CHECK (length(idempotency_key) BETWEEN 1 AND 255)
);

ALTER SEQUENCE public.transactions_transaction_id_seq OWNED BY public.transactions.transaction_id;

-- The velocity read: the user's last row, and the first row of each window. Everything it needs stands in the
-- index, as rows of one user lie scattered over the table.
CREATE INDEX transactions_user_totals_idx ON public.transactions (user_id, occurred_at, user_txns_before)
INCLUDE (amount, user_amount_before, user_amount_squares_before);

-- Rows whose totals are not known yet: of most users there is none.
CREATE INDEX transactions_user_untotalled_idx ON public.transactions (user_id, occurred_at)
WHERE user_txns_before IS NULL;

-- When the user was last at this merchant, and at this location.
CREATE INDEX transactions_user_merchant_idx ON public.transactions (user_id, merchant_id, occurred_at)
WHERE merchant_id IS NOT NULL;

CREATE INDEX transactions_user_location_idx ON public.transactions (user_id, location, occurred_at)
WHERE location IS NOT NULL;

-- Retries with the same key give one row; per user, as unique constraints must carry user_id.
CREATE UNIQUE INDEX transactions_idempotency_idx ON public.transactions (user_id, idempotency_key)
WHERE idempotency_key IS NOT NULL;

-- Live rows without a decision, for the list and for rescoring; a row that is decided never enters it.
CREATE INDEX transactions_unscored_idx ON public.transactions (user_id, received_at)
WHERE model_version IS NULL AND NOT is_history;

-- Monitoring reads the newest days. Rows arrive in this order, so a few pages of summary do.
CREATE INDEX transactions_received_idx ON public.transactions USING brin (received_at) WITH (autosummarize = on);
