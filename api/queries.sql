-- Named queries of this room, read by rowguard.queries.

-- name: claim_review_case
-- Claim a case, or the most urgent open one.
SELECT c.*
FROM scoring.claim_review_case(%(by)s, %(case_id)s) AS c;

-- name: count_reviews
-- Cases that wait, and the age of the oldest overdue one.
SELECT
    count(*) FILTER (WHERE c.state = 'open') AS open,
    count(*) FILTER (WHERE c.state = 'claimed') AS claimed,
    count(*) FILTER (WHERE c.due_at < now()) AS overdue,
    greatest(0, extract(EPOCH FROM now() - min(c.due_at))::double precision) AS overdue_seconds
FROM scoring.review_cases AS c
WHERE c.state <> 'decided';

-- name: count_unscored
-- Count unscored transactions; bounded, so that a scrape stays cheap when no model was ever deployed.
SELECT count(*) AS unscored
FROM (SELECT FROM public.unscored_transactions LIMIT 100000) AS u -- noqa: AM09;

-- name: decide_review_cases
-- Decide cases, all or none.
SELECT c.*
FROM scoring.decide_review_cases(
    %(case_ids)s, %(decision)s, %(by)s, %(note)s, %(transactions)s, %(list_name)s, %(expires_at)s
) AS c
ORDER BY c.case_id;

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
    s.prediction, s.probability, s.flag, s.fraud_probability, s.model_version, s.outcome, s.outcome_reasons,
    s.rule_set_version,
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
-- Check that the database has the schema and accepts writes.
SELECT
    to_regtype('public.fraud_score') IS NOT NULL AS has_schema,
    NOT pg_is_in_recovery() AS is_writable;

-- name: open_review_cases
-- Give each transaction that waits for review a case.
SELECT scoring.open_review_cases(%(due_hours)s) AS opened;

-- name: release_review_case
-- Put a claimed case back into the queue.
SELECT c.*
FROM scoring.release_review_case(%(case_id)s, %(by)s, %(is_forced)s) AS c;

-- name: reopen_review_case
-- Open a decided case again.
SELECT c.*
FROM scoring.reopen_review_case(%(case_id)s, %(by)s, %(note)s, %(due_hours)s) AS c;

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
SELECT
    s.prediction, s.probability, s.flag, s.fraud_probability, s.model_version, s.outcome, s.outcome_reasons,
    s.rule_set_version
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

-- name: select_review_case
-- A case with its transactions and its events.
SELECT
    c.*,
    (
        SELECT coalesce(jsonb_agg(t ORDER BY t.occurred_at, t.transaction_id), '[]')
        FROM (
            SELECT t.transaction_id, t.occurred_at, t.amount, t.fraud_flag, t.fraud_probability, t.model_version
            FROM scoring.review_case_transactions AS r
            INNER JOIN public.transactions AS t ON r.user_id = t.user_id AND r.transaction_id = t.transaction_id
            WHERE r.case_id = c.case_id
        ) AS t
    ) AS transactions,
    (
        SELECT coalesce(jsonb_agg(e ORDER BY e.event_id), '[]')
        FROM (
            SELECT e.event_id, e.recorded_at, e.actor, e.action, e.details
            FROM scoring.audit_events AS e
            WHERE e.subject = 'case ' || c.case_id
        ) AS e
    ) AS events
FROM scoring.review_cases AS c
WHERE c.case_id = %(case_id)s;

-- name: select_review_cases
-- Cases of some states, the most urgent first; decided ones, the newest first.
SELECT c.*
FROM scoring.review_cases AS c
WHERE c.state = ANY(%(states)s)
ORDER BY c.decided_at DESC NULLS FIRST, c.due_at, c.case_id
LIMIT %(limit)s;

-- name: warm_scoring
-- Run the champion once in this connection; returns its version.
SELECT public.warm_scoring();
