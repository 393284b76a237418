-- Named queries of this room, read by rowguard.queries.

-- name: count_unscored
-- Count unscored transactions; bounded, so that a scrape stays cheap when no model was ever deployed.
SELECT count(*) AS unscored
FROM (SELECT FROM public.unscored_transactions LIMIT 100000) AS u -- noqa: AM09;

-- name: explain_features
-- Score a row of four features, with its explanation.
SELECT
    s.prediction, s.probability, s.flag, s.fraud_probability, s.model_version,
    public.explain_score_features(
        transaction_amount => q.transaction_amount,
        time_since_last_txn => q.time_since_last_txn,
        num_txns_last_hour => q.num_txns_last_hour,
        user_location_match => q.user_location_match
    ) AS explanation
FROM
    json_to_recordset(%(rows)s::json) AS q (
        transaction_amount double precision,
        time_since_last_txn double precision,
        num_txns_last_hour integer,
        user_location_match boolean
    )
CROSS JOIN
    LATERAL public.score_features(
        transaction_amount => q.transaction_amount,
        time_since_last_txn => q.time_since_last_txn,
        num_txns_last_hour => q.num_txns_last_hour,
        user_location_match => q.user_location_match
    ) AS s;

-- name: explain_transaction
-- Score a transaction without storing it, with its explanation.
SELECT
    s.prediction, s.probability, s.flag, s.fraud_probability, s.model_version,
    public.explain_score_transaction(
        user_id => q.user_id,
        amount => q.amount,
        /* for each column: {name} => q.{name}, */
        occurred_at => coalesce(q.occurred_at, now())
    ) AS explanation
FROM
    json_to_recordset(%(rows)s::json) AS q (
        user_id bigint /* key type */,
        amount numeric,
        /* for each column: {name} {type}, */
        occurred_at timestamptz
    )
CROSS JOIN
    LATERAL public.score_transaction(
        user_id => q.user_id,
        amount => q.amount,
        /* for each column: {name} => q.{name}, */
        occurred_at => coalesce(q.occurred_at, now())
    ) AS s;

-- name: insert_label
-- Store a label.
INSERT INTO public.fraud_labels (user_id, transaction_id, is_fraud, labelled_at, source)
VALUES (
    %(user_id)s::bigint /* key type */,
    %(transaction_id)s::bigint,
    %(is_fraud)s::boolean,
    coalesce(%(labelled_at)s::timestamptz, now()),
    %(source)s::text
)
RETURNING label_id, user_id, transaction_id, is_fraud, labelled_at, source;

-- name: insert_unlocked_users
-- Store a batch of transactions, except those whose user is locked by another transaction.
SELECT *
FROM scoring.insert_transactions(%(rows)s::jsonb, p_waits_for_locks => false);

-- name: insert_waiting
-- Store transactions, waiting for their users' locks.
SELECT *
FROM scoring.insert_transactions(%(rows)s::jsonb, p_waits_for_locks => true);

-- name: is_ready
-- Check that the database has the schema and accepts writes. Every INSERT takes an advisory lock: it fails while another
-- session has filled the lock table, and so does this one, which has no waiters.
SELECT
    to_regtype('public.fraud_score') IS NOT NULL AS has_schema,
    NOT pg_is_in_recovery() AND pg_try_advisory_xact_lock_shared(7266, 0) IS NOT NULL AS is_writable;

-- name: score_features
-- Score rows of four features, in their order.
SELECT s.prediction, s.probability, s.flag, s.fraud_probability, s.model_version
FROM
    (
        SELECT r.*, row_number() OVER () AS ordinal
        FROM
            json_to_recordset(%(rows)s::json) AS r (
                transaction_amount double precision,
                time_since_last_txn double precision,
                num_txns_last_hour integer,
                user_location_match boolean
            )
    ) AS q
CROSS JOIN
    LATERAL public.score_features(
        transaction_amount => q.transaction_amount,
        time_since_last_txn => q.time_since_last_txn,
        num_txns_last_hour => q.num_txns_last_hour,
        user_location_match => q.user_location_match
    ) AS s
ORDER BY q.ordinal;

-- name: score_transactions
-- Score transactions without storing them, in their order.
SELECT s.prediction, s.probability, s.flag, s.fraud_probability, s.model_version
FROM
    (
        SELECT r.*, row_number() OVER () AS ordinal
        FROM
            json_to_recordset(%(rows)s::json) AS r (
                user_id bigint /* key type */,
                amount numeric,
                /* for each column: {name} {type}, */
                occurred_at timestamptz
            )
    ) AS q
CROSS JOIN
    LATERAL public.score_transaction(
        user_id => q.user_id,
        amount => q.amount,
        /* for each column: {name} => q.{name}, */
        occurred_at => coalesce(q.occurred_at, now())
    ) AS s
ORDER BY q.ordinal;

-- name: select_champion
-- Read the registry row of the champion.
SELECT
    m.version, m.model_kind, m.layout, m.trained_at, m.train_from, m.train_to, m.label_cutoff, m.row_count,
    m.fraud_count, m.threshold, m.threshold_rule, m.metrics, m.tree_count, m.node_count, m.feature_names,
    m.feature_hash, m.deployed_at
FROM public.model_versions AS m
WHERE m.state = 'champion';

-- name: select_explanation
-- The explanation of a stored decision.
SELECT public.explanation(%(user_id)s, %(transaction_id)s, %(top)s) AS explanation;

-- name: warm_scoring
-- Run the champion once in this connection; returns its version.
SELECT public.warm_scoring();
