-- Named queries of this room, read by rowguard.queries.

-- name: count_unscored
-- Bounded, so that a scrape stays cheap when nothing was ever scored.
SELECT count(*) AS unscored
FROM (SELECT FROM public.unscored_transactions LIMIT 100000) AS u -- noqa: AM09;

-- name: insert_if_free
-- insert_transactions for one row, which is cheaper: nothing comes back when the user is busy or the key was used.
INSERT INTO public.transactions (user_id, amount, merchant_id, location, occurred_at, idempotency_key)
SELECT
    %(user_id)s::bigint,
    %(amount)s::numeric,
    %(merchant_id)s::bigint,
    %(location)s::text,
    %(occurred_at)s::timestamptz,
    %(idempotency_key)s::text
WHERE pg_try_advisory_xact_lock(scoring.user_lock_key(%(user_id)s::bigint))
ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING
    transaction_id, user_id, amount, merchant_id, location, occurred_at, idempotency_key, fraud_flag,
    fraud_probability, model_version, unscored_reason;

-- name: insert_label
INSERT INTO public.fraud_labels (user_id, transaction_id, is_fraud, labelled_at, source)
VALUES (
    %(user_id)s::bigint,
    %(transaction_id)s::bigint,
    %(is_fraud)s::boolean,
    coalesce(%(labelled_at)s::timestamptz, now()),
    %(source)s::text
)
RETURNING label_id, user_id, transaction_id, is_fraud, labelled_at, source;

-- name: insert_of_each_user
-- insert_transactions where every row is of another user, which is cheaper to plan: no lock is tried twice for a
-- user, so none of them can have some of its rows stored and others not.
INSERT INTO public.transactions (user_id, amount, merchant_id, location, occurred_at, idempotency_key)
SELECT
    q.user_id,
    q.amount,
    q.merchant_id,
    q.location,
    q.occurred_at,
    q.idempotency_key
FROM
    json_to_recordset(%(rows)s::json) AS q (
        user_id bigint,
        amount numeric,
        merchant_id bigint,
        location text,
        occurred_at timestamptz,
        idempotency_key text
    )
WHERE pg_try_advisory_xact_lock(scoring.user_lock_key(q.user_id))
ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING
    transaction_id, user_id, amount, merchant_id, location, occurred_at, idempotency_key, fraud_flag,
    fraud_probability, model_version, unscored_reason;

-- name: insert_transaction
-- No row comes back when the key was used before.
INSERT INTO public.transactions (user_id, amount, merchant_id, location, occurred_at, idempotency_key)
VALUES (
    %(user_id)s::bigint,
    %(amount)s::numeric,
    %(merchant_id)s::bigint,
    %(location)s::text,
    %(occurred_at)s::timestamptz,
    %(idempotency_key)s::text
)
ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING
    transaction_id, user_id, amount, merchant_id, location, occurred_at, fraud_flag, fraud_probability,
    model_version, unscored_reason;

-- name: insert_transactions
-- Stores the rows whose user's lock is free, and waits for no lock, so that no caller waits for another's user. A row
-- that does not come back found its user busy or its key used: the caller sees to it by itself.
-- The locks are those that the trigger takes (scoring.score_on_insert). Each is tried once, so that of a user either
-- every row is stored, in the order given here, or none.
WITH asked AS MATERIALIZED (
    SELECT
        q.user_id,
        q.amount,
        q.merchant_id,
        q.location,
        q.occurred_at,
        q.idempotency_key,
        q.place,
        scoring.user_lock_key(q.user_id) AS bucket
    FROM
        json_to_recordset(%(rows)s::json) AS q (
            user_id bigint,
            amount numeric,
            merchant_id bigint,
            location text,
            occurred_at timestamptz,
            idempotency_key text,
            place integer
        )
),

locks AS MATERIALIZED (
    SELECT
        b.bucket,
        pg_try_advisory_xact_lock(b.bucket) AS is_ours
    FROM (SELECT DISTINCT a.bucket FROM asked AS a) AS b
)

INSERT INTO public.transactions (user_id, amount, merchant_id, location, occurred_at, idempotency_key)
SELECT
    a.user_id,
    a.amount,
    a.merchant_id,
    a.location,
    a.occurred_at,
    a.idempotency_key
FROM asked AS a
INNER JOIN locks AS l ON a.bucket = l.bucket
WHERE l.is_ours
ORDER BY a.place
ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING
    transaction_id, user_id, amount, merchant_id, location, occurred_at, idempotency_key, fraud_flag,
    fraud_probability, model_version, unscored_reason;

-- name: is_ready
-- The database answers, has the schema, and takes writes.
SELECT
    to_regclass('public.transactions') IS NOT NULL AS has_schema,
    NOT pg_is_in_recovery() AS takes_writes;

-- name: score_features
-- One row a question, in their order.
SELECT s.prediction, s.probability, s.flag, s.fraud_probability, s.model_version
FROM
    json_to_recordset(%(rows)s::json) AS q (
        transaction_amount double precision,
        time_since_last_txn double precision,
        num_txns_last_hour integer,
        user_location_match boolean,
        place integer
    )
CROSS JOIN
    LATERAL public.score_features(
        transaction_amount => q.transaction_amount,
        time_since_last_txn => q.time_since_last_txn,
        num_txns_last_hour => q.num_txns_last_hour,
        user_location_match => q.user_location_match
    ) AS s
ORDER BY q.place;

-- name: score_transactions
-- One row a question, in their order.
SELECT s.prediction, s.probability, s.flag, s.fraud_probability, s.model_version
FROM
    json_to_recordset(%(rows)s::json) AS q (
        user_id bigint,
        amount numeric,
        merchant_id bigint,
        location text,
        occurred_at timestamptz,
        place integer
    )
CROSS JOIN
    LATERAL public.score_transaction(
        user_id => q.user_id,
        amount => q.amount,
        merchant_id => q.merchant_id,
        location => q.location,
        occurred_at => coalesce(q.occurred_at, now())
    ) AS s
ORDER BY q.place;

-- name: select_by_key
SELECT
    t.transaction_id, t.user_id, t.amount, t.merchant_id, t.location, t.occurred_at, t.fraud_flag,
    t.fraud_probability, t.model_version, t.unscored_reason
FROM public.transactions AS t
WHERE t.user_id = %(user_id)s::bigint AND t.idempotency_key = %(idempotency_key)s::text;

-- name: select_champion
SELECT
    m.version, m.model_kind, m.layout, m.trained_at, m.train_from, m.train_to, m.label_cutoff, m.row_count,
    m.fraud_count, m.threshold, m.threshold_rule, m.metrics, m.tree_count, m.node_count, m.feature_names,
    m.feature_hash, m.deployed_at
FROM public.model_versions AS m
WHERE m.state = 'champion';

-- name: warm_scoring
SELECT public.warm_scoring();
