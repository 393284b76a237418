-- One row per transaction. Every key carries user_id, so that users can be divided among servers.
CREATE SEQUENCE public.transactions_transaction_id_seq AS bigint;

CREATE TABLE public.transactions (
    user_id bigint /* key type */ NOT NULL,
    transaction_id bigint NOT NULL DEFAULT nextval('public.transactions_transaction_id_seq'::regclass),
    -- When it happened. Left out on INSERT, the trigger sets it after it holds the user's lock.
    occurred_at timestamptz NOT NULL,
    -- When the database got it: per user, the order of arrival. Set by the trigger or by the loader.
    received_at timestamptz NOT NULL,
    -- Loaded afterwards and never scored live; features of such rows follow event time.
    is_history scoring.history_mark NOT NULL DEFAULT false,
    amount scoring.amount NOT NULL,
    /* for each column: {name} {stored_type}, */
    idempotency_key scoring.idempotency_key,
    -- The id that the application's other systems know it by, such as the acquirer's; labels are joined by it.
    external_id scoring.external_id,
    -- The decision. Only the trigger sets it.
    fraud_flag text,
    fraud_probability double precision,
    model_version text,
    scored_at timestamptz,
    feature_values real[],
    -- Of the reference tables, what the decision read. Their history cannot tell: its times are those of statements, and
    -- a change is visible from its commit.
    /* for each reference column: {name} {type}, */
    -- Why the row has no decision although a model is deployed.
    unscored_reason text,
    -- Why the features may miss rows that other transactions were inserting: lock_timeout, lock_limit, old_snapshot.
    features_caveat text,
    -- Running totals of the user's rows before this one, in order of (occurred_at, arrival): two of them give the
    -- totals of any window, however many rows it has. NULL while pending; the features of a user with such a row
    -- are read with a row scan.
    user_txns_before bigint,
    user_amount_before numeric,
    user_amount_squares_before numeric,
    -- An alert in the control group, which is not blocked so that labels stay unbiased: fraud_flag is LEGITIMATE.
    is_control boolean NOT NULL DEFAULT false,
    -- Why it is an alert: codes of themes, most important first. Set by a trigger while that setting is on, or by a job.
    reason_codes text[],
    -- The score of the model that did not decide, during a shadow deployment.
    shadow_version text,
    shadow_probability double precision,
    -- What that model saw, where that is not feature_values.
    shadow_feature_values real[],
    shadow_error text,
    -- What lists, model and rules decided together, in docs/explanation/outcomes.md; NULL while there are none of them.
    outcome text,
    outcome_reasons text[],
    rule_set_version integer,
    -- Two bytes each: lists that had the row, rules that an exception suppressed, rules that matched.
    matched_rules bytea,
    CONSTRAINT transactions_pkey PRIMARY KEY (user_id, transaction_id)
);

ALTER SEQUENCE public.transactions_transaction_id_seq OWNED BY public.transactions.transaction_id;

-- The velocity read: the user's last row, and the first row of each window. The index holds every column
-- it needs, as rows of one user are scattered over the table.
CREATE INDEX transactions_user_totals_idx ON public.transactions (user_id, occurred_at, user_txns_before)
INCLUDE (amount, user_amount_before, user_amount_squares_before);

-- Rows whose totals are pending: most users have none.
CREATE INDEX transactions_totals_pending_idx ON public.transactions (user_id, occurred_at)
WHERE user_txns_before IS NULL;

-- The indexes that features of other entities read are declared with them: sql_scoring/features/columns.py.

-- Retries with the same key give one row; per user, as unique constraints must carry user_id. Not a partial index: tools
-- that write ON CONFLICT (user_id, idempotency_key) cannot add its condition.
CREATE UNIQUE INDEX transactions_idempotency_idx ON public.transactions (user_id, idempotency_key);

-- Unique per user. Partial, so that rows without one cost nothing.
CREATE UNIQUE INDEX transactions_external_id_idx ON public.transactions (user_id, external_id)
WHERE external_id IS NOT NULL;

-- Monitoring reads the newest days. Rows arrive in this order, so a few pages of summary do.
CREATE INDEX transactions_received_idx ON public.transactions USING brin (received_at) WITH (autosummarize = on);

-- Unscored live rows, for the list and for rescoring; a scored row never enters it.
CREATE INDEX transactions_unscored_idx ON public.transactions (user_id, received_at)
WHERE model_version IS NULL AND NOT is_history;

-- Rows that wait for review or were reviewed: without rules and lists there is no outcome, and alerts are reviewed.
-- scoring.open_review_cases reads the newest.
CREATE INDEX transactions_review_idx ON public.transactions (received_at)
WHERE outcome = 'review' OR is_control OR (outcome IS NULL AND fraud_flag = 'FRAUD');
