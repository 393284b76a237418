-- Named queries of this room, read by rowguard.queries.

-- name: claim_review_case
-- Claim a case, or the most urgent open one.
SELECT c.*
FROM scoring.claim_review_case(%(by)s, %(case_id)s) AS c;

-- name: count_reviews
-- Cases that wait, the age of the most overdue one, and the rule set in force.
SELECT
    count(*) FILTER (WHERE c.state = 'open') AS open,
    count(*) FILTER (WHERE c.state = 'claimed') AS claimed,
    count(*) FILTER (WHERE c.due_at < now()) AS overdue,
    greatest(0, extract(EPOCH FROM now() - min(c.due_at))::double precision) AS overdue_seconds,
    (SELECT s.rule_set_version FROM scoring.settings AS s) AS rule_set_version
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
-- Check that the database has the schema and accepts writes. Every INSERT takes an advisory lock: it fails while another
-- session has filled the lock table, and so does this one, which has no waiters.
SELECT
    to_regtype('public.fraud_score') IS NOT NULL AS has_schema,
    NOT pg_is_in_recovery() AND pg_try_advisory_xact_lock_shared(7266, 0) IS NOT NULL AS is_writable;

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

-- name: add_list_entries
-- Add keys to a list.
SELECT scoring.add_list_entries(%(name)s, %(entries)s, %(by)s) AS written;

-- name: add_rule_exception
-- Suppress a rule for a user.
SELECT
    scoring.add_rule_exception(
        %(rule)s, (%(user_id)s::text)::bigint /* key type */, %(ends_at)s, %(reason)s, %(by)s
    ) AS exception_id;

-- name: approve_draft
-- Record an approval.
UPDATE scoring.rule_drafts AS d
SET approved_at = now(), approved_by = %(by)s
WHERE d.draft_id = %(draft_id)s
RETURNING d.draft_id, d.document, d.based_on, d.note, d.created_by, d.updated_by, d.approved_by, d.published_version;

-- name: create_list
-- Create a list.
SELECT scoring.create_list(%(name)s, %(column)s, %(kind)s, %(description)s, %(by)s) AS list_id;

-- name: end_rule_exception
-- End an exception.
SELECT true AS is_ended
FROM scoring.end_rule_exception(%(exception_id)s, %(by)s);

-- name: insert_draft
-- Store a draft that is based on the rule set in force.
INSERT INTO scoring.rule_drafts AS d (document, based_on, note, created_by, updated_by)
SELECT %(document)s, s.rule_set_version, %(note)s, b.name AS created_by, b.name AS updated_by
FROM scoring.settings AS s
CROSS JOIN (SELECT %(by)s::text AS name) AS b
RETURNING d.draft_id, d.document, d.based_on, d.note, d.created_by, d.updated_by, d.approved_by, d.published_version;

-- name: list_drafts
-- Drafts that are not published, newest first.
SELECT
    d.draft_id, d.based_on, d.note, d.created_at, d.created_by, d.updated_at, d.updated_by, d.approved_at,
    d.approved_by
FROM scoring.rule_drafts AS d
WHERE d.published_version IS NULL
ORDER BY d.draft_id DESC
LIMIT 1000;

-- name: list_entries
-- A page of the current entries of a list in the order of their hashes, which is the index's, or one key.
SELECT e.key, e.expires_at, e.reason, e.added_at, e.added_by
FROM scoring.lists AS l
INNER JOIN scoring.list_entries AS e ON l.list_id = e.list_id
WHERE
    l.name = %(name)s
    AND e.removed_at IS NULL
    AND (e.expires_at IS NULL OR e.expires_at > now())
    AND e.key_hash > coalesce(scoring.list_key_hash(l.column_name, %(after)s::text), -9223372036854775808)
    AND (
        %(key)s::text IS NULL
        OR (e.key_hash = scoring.list_key_hash(l.column_name, %(key)s::text) AND e.key = %(key)s::text)
    )
ORDER BY e.key_hash
LIMIT %(limit)s;

-- name: list_exceptions
-- Exceptions, newest first, with how often each suppressed its rule.
SELECT
    e.exception_id, e.rule_name, e.user_id::text AS user_id, e.reason, e.starts_at, e.ends_at, e.created_by,
    e.ended_at, e.ended_by, e.is_active, e.used_count
FROM scoring.rule_exception_usage AS e
ORDER BY e.exception_id DESC
LIMIT 1000;

-- name: list_lists
-- All lists, with the number of their current entries.
SELECT
    l.name, l.column_name, l.kind, l.description, l.created_at, l.created_by,
    (
        SELECT count(*)
        FROM scoring.list_entries AS e
        WHERE e.list_id = l.list_id AND e.removed_at IS NULL AND (e.expires_at IS NULL OR e.expires_at > now())
    ) AS entries
FROM scoring.lists AS l
ORDER BY l.name;

-- name: list_rule_sets
-- Published rule sets, newest first.
SELECT
    r.version, r.version = s.rule_set_version AS is_in_force, jsonb_array_length(r.document -> 'rules') AS rules,
    r.based_on, r.note, r.published_at, r.published_by, r.approved_by
FROM scoring.rule_sets AS r
CROSS JOIN scoring.settings AS s
ORDER BY r.version DESC
LIMIT 1000;

-- name: remove_list_entries
-- Remove keys from a list.
SELECT scoring.remove_list_entries(%(name)s, %(keys)s, %(by)s) AS removed;

-- name: rule_matches
-- The live rows of 30 days that each rule of a set matched.
SELECT
    r.position, r.name, r.mode, r.action,
    coalesce(sum(m.matched), 0)::bigint AS matched, coalesce(sum(m.suppressed), 0)::bigint AS suppressed
FROM scoring.rules AS r
LEFT JOIN scoring.rule_matches_daily AS m
    ON r.version = m.version AND r.position = m.position AND m.event_date > (now() AT TIME ZONE 'UTC')::date - 30
WHERE r.version = %(version)s
GROUP BY r.version, r.position
ORDER BY r.position;

-- name: select_draft
-- A draft with its rules.
SELECT d.draft_id, d.document, d.based_on, d.note, d.created_by, d.updated_by, d.approved_by, d.published_version
FROM scoring.rule_drafts AS d
WHERE d.draft_id = %(draft_id)s;

-- name: select_list
-- A list.
SELECT l.list_id
FROM scoring.lists AS l
WHERE l.name = %(name)s;

-- name: select_rule_set
-- A published rule set.
SELECT r.version, r.document, r.based_on, r.note, r.published_at, r.published_by, r.approved_by
FROM scoring.rule_sets AS r
WHERE r.version = %(version)s;

-- name: update_draft
-- Replace a draft; an approval ends, as it was of other rules.
UPDATE scoring.rule_drafts AS d
SET
    document = %(document)s,
    note = %(note)s,
    updated_by = %(by)s,
    updated_at = now(),
    approved_at = NULL,
    approved_by = NULL
WHERE d.draft_id = %(draft_id)s
RETURNING d.draft_id, d.document, d.based_on, d.note, d.created_by, d.updated_by, d.approved_by, d.published_version;
