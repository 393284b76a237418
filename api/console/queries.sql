-- Named queries of this room, read by rowguard.queries. One of them is one panel.

-- name: alarms
-- Metrics beyond their threshold.
SELECT a.metric, a.subject, a.value, a.alarm_threshold
FROM features.monitoring_alarms AS a
WHERE a.is_alarm
ORDER BY a.metric, a.subject
LIMIT 6;

-- name: all_metrics
-- Every metric with its threshold, alarms first.
SELECT
    a.metric, a.subject, a.value, a.row_count, a.alarm_threshold, a.min_rows, a.has_enough_rows, a.is_alarm
FROM features.monitoring_alarms AS a
ORDER BY a.is_alarm DESC, a.metric, a.value DESC, a.subject;

-- name: audit_events
-- The newest events before one, optionally of one actor or one subject.
SELECT e.event_id, e.recorded_at, e.actor, e.action, e.subject, e.details, e.database_user
FROM scoring.audit_events AS e
WHERE
    (%(before)s::bigint IS NULL OR e.event_id < %(before)s::bigint)
    AND (%(actor)s::text IS NULL OR e.actor = %(actor)s::text)
    AND (%(subject)s::text IS NULL OR e.subject = %(subject)s::text)
ORDER BY e.event_id DESC
LIMIT %(limit)s;

-- name: case_transactions
-- The transactions of a case with their latest labels.
SELECT
    t.user_id, t.transaction_id, t.occurred_at, t.amount, t.fraud_flag, t.fraud_probability, t.is_control,
    t.reason_codes, t.outcome, t.outcome_reasons, known.is_fraud, known.source
FROM scoring.review_case_transactions AS r
INNER JOIN public.transactions AS t ON r.user_id = t.user_id AND r.transaction_id = t.transaction_id
LEFT JOIN LATERAL (
    SELECT l.is_fraud, l.source
    FROM public.fraud_labels AS l
    WHERE l.user_id = t.user_id AND l.transaction_id = t.transaction_id AND l.labelled_at <= now()
    ORDER BY l.labelled_at DESC, l.label_id DESC
    LIMIT 1
) AS known ON true
WHERE r.case_id = %(case_id)s
ORDER BY t.occurred_at, t.transaction_id;

-- name: challenger_daily
-- Champion and challenger on the same rows, by day.
SELECT
    c.event_date, c.first_version, c.second_version, c.row_count, c.first_alerts, c.second_alerts, c.disagreements,
    c.mean_difference, c.error_count
FROM features.monitoring_challenger_daily AS c
ORDER BY c.event_date DESC, c.first_version, c.second_version
LIMIT 14;

-- name: daily_volume
-- Live transactions of 14 days by day.
SELECT
    to_char(t.received_at AT TIME ZONE 'UTC', 'MM-DD') AS day,
    count(*) FILTER (WHERE t.fraud_flag = 'LEGITIMATE' AND NOT t.is_control) AS passed,
    count(*) FILTER (WHERE t.fraud_flag = 'FRAUD') AS alerts,
    count(*) FILTER (WHERE t.is_control) AS controls,
    count(*) FILTER (WHERE t.fraud_flag IS NULL) AS unscored,
    count(*) FILTER (WHERE t.outcome = 'approve') AS approve,
    count(*) FILTER (WHERE t.outcome = 'review') AS review,
    count(*) FILTER (WHERE t.outcome = 'decline') AS decline,
    count(*) FILTER (WHERE t.outcome IS NULL) AS undetermined,
    count(*) AS all_rows
FROM public.transactions AS t
WHERE t.received_at >= date_trunc('day', now(), 'UTC') - interval '13 days' AND NOT t.is_history
GROUP BY 1
ORDER BY 1;

-- name: drift
-- Score and features of the champion over the last 7 days, most drifted first.
SELECT d.name, d.row_count::bigint AS row_count, d.psi
FROM features.monitoring_drift AS d
INNER JOIN public.model_versions AS m ON d.model_version = m.version AND m.state = 'champion'
ORDER BY d.psi DESC NULLS LAST
LIMIT 20;

-- name: feature_comparison
-- Feature values of a decision, against those of the user's 50 decisions of the same model before it.
WITH this AS (
    SELECT t.user_id, t.received_at, t.transaction_id, t.model_version, t.feature_values, m.feature_names
    FROM public.transactions AS t
    INNER JOIN public.model_versions AS m ON t.model_version = m.version
    WHERE t.user_id = %(user_id)s::bigint /* key type */ AND t.transaction_id = %(transaction_id)s
),

earlier AS (
    SELECT t.feature_values
    FROM this AS h
    INNER JOIN public.transactions AS t
        ON h.user_id = t.user_id AND h.model_version = t.model_version AND h.received_at > t.received_at
    ORDER BY t.received_at DESC
    LIMIT 50
)

SELECT
    n.name AS feature,
    n.value::double precision AS feature_value,
    usual.row_count,
    usual.quantiles[1] AS low,
    usual.quantiles[2] AS middle,
    usual.quantiles[3] AS high
FROM this AS h
CROSS JOIN
    LATERAL unnest(h.feature_names, h.feature_values) WITH ORDINALITY AS n (name, value, place)
CROSS JOIN
    LATERAL (
        SELECT
            count(e.feature_values[n.place]) AS row_count,
            percentile_cont(ARRAY[0.1, 0.5, 0.9]) WITHIN GROUP (
                ORDER BY e.feature_values[n.place]::double precision
            ) AS quantiles
        FROM earlier AS e
    ) AS usual
ORDER BY n.place;

-- name: gate_reports
-- The newest evaluations by the gates.
SELECT g.version, g.champion, g.evaluated_at, g.evaluated_by, g.is_passed, g.is_forced, g.reasons
FROM scoring.gate_reports AS g
ORDER BY g.report_id DESC
LIMIT 12;

-- name: latest_changes
-- The newest events of the audit trail.
SELECT e.recorded_at, e.actor, e.action, e.subject
FROM scoring.audit_events AS e
WHERE e.actor <> 'rowguard'
ORDER BY e.event_id DESC
LIMIT 6;

-- name: models
-- The registry, newest first.
SELECT
    m.version, m.state, m.state_reason, m.model_kind, m.trained_at, m.row_count, m.fraud_count, m.threshold,
    m.metrics, m.tree_count, m.node_count, m.deployed_at, m.deployed_by, m.canary_percent
FROM public.model_versions AS m
LIMIT 100;

-- name: outcomes_daily
-- Precision and recall by day and version, as far as labels are known.
SELECT o.event_date, o.model_version, o.is_mature, o.precision, o.recall
FROM features.monitoring_outcomes_daily AS o
ORDER BY o.event_date, o.model_version;

-- name: queue
-- A page of waiting cases, the most urgent first, or of decided ones, the newest first.
SELECT
    c.case_id, c.user_id, c.state, c.opened_at, c.due_at, c.claimed_by, c.decision, c.decided_by, c.decided_at,
    c.transaction_count, c.amount_total, c.max_fraud_probability, c.due_at < now() AS is_overdue, c.note
FROM scoring.review_cases AS c
WHERE
    CASE
        WHEN %(is_decided)s THEN c.state = 'decided'
        ELSE c.state <> 'decided' AND (%(claimed_by)s::text IS NULL OR c.claimed_by = %(claimed_by)s::text)
    END
ORDER BY c.decided_at DESC NULLS FIRST, c.due_at, c.case_id
LIMIT %(limit)s OFFSET %(offset)s;

-- name: queue_counts
-- How many cases wait, are claimed, are overdue and were decided today.
SELECT
    count(*) FILTER (WHERE c.state = 'open') AS open,
    count(*) FILTER (WHERE c.state = 'claimed') AS claimed,
    count(*) FILTER (WHERE c.state <> 'decided' AND c.due_at < now()) AS overdue,
    count(*) FILTER (WHERE c.state = 'decided') AS decided_today
FROM scoring.review_cases AS c
WHERE c.state <> 'decided' OR c.decided_at >= date_trunc('day', now(), 'UTC');

-- name: recent_transactions
-- The user's newest transactions up to one.
SELECT t.transaction_id, t.occurred_at, t.amount, t.fraud_flag, t.is_control, t.fraud_probability
FROM public.transactions AS t
WHERE t.user_id = %(user_id)s::bigint /* key type */ AND t.occurred_at <= %(until)s + interval '1 day'
ORDER BY t.occurred_at DESC
LIMIT 60;

-- name: record_audit
-- Record a change by a user.
SELECT scoring.record_audit(%(actor)s, %(action)s, %(subject)s, %(details)s);

-- name: replay
-- Score a stored row again.
SELECT r.stored, r.replayed, r.is_equal, r.outcome, r.replayed_outcome, r.is_outcome_equal
FROM scoring.replay_decision(%(user_id)s::bigint /* key type */, %(transaction_id)s) AS r;

-- name: same_value
-- Transactions of other users with the same value of a column, in the 30 days before one.
SELECT
    {name} AS column_name, t.{column}::text AS column_value, t.user_id, t.transaction_id, t.occurred_at, t.amount,
    t.fraud_flag
FROM public.transactions AS h
INNER JOIN public.transactions AS t ON h.{column} = t.{column} AND h.user_id <> t.user_id
WHERE
    h.user_id = %(user_id)s::bigint /* key type */ AND h.transaction_id = %(transaction_id)s
    AND t.received_at BETWEEN h.received_at - interval '30 days' AND h.received_at + interval '1 day'
ORDER BY t.received_at DESC
LIMIT 8;

-- name: scores_daily
-- Volume, alert rate and scores by day and version.
SELECT d.event_date, d.model_version, d.row_count, d.alert_rate, d.score_quantiles
FROM features.monitoring_scores_daily AS d
ORDER BY d.event_date, d.model_version;

-- name: transaction
-- One transaction with its latest label and its case.
SELECT
    t.user_id, t.transaction_id, t.occurred_at, t.received_at, t.amount, /* for each column: t.{name}, */
    t.is_history, t.fraud_flag, t.fraud_probability, t.model_version, t.unscored_reason, t.features_caveat,
    t.is_control, t.reason_codes, t.outcome, t.outcome_reasons, t.rule_set_version,
    array(
        SELECT u.name || CASE u.mode WHEN 'shadow' THEN ' (shadow)' ELSE '' END
        FROM scoring.unpack_rule_codes(t.matched_rules) AS c
        INNER JOIN scoring.rules AS u ON t.rule_set_version = u.version AND c.number = u.position
        WHERE c.kind = 'rule'
        ORDER BY u.position
    ) AS matched_rules, known.is_fraud, known.source, known.labelled_at, r.case_id
FROM public.transactions AS t
LEFT JOIN scoring.review_case_transactions AS r ON t.user_id = r.user_id AND t.transaction_id = r.transaction_id
LEFT JOIN LATERAL (
    SELECT l.is_fraud, l.source, l.labelled_at
    FROM public.fraud_labels AS l
    WHERE l.user_id = t.user_id AND l.transaction_id = t.transaction_id AND l.labelled_at <= now()
    ORDER BY l.labelled_at DESC, l.label_id DESC
    LIMIT 1
) AS known ON true
WHERE t.user_id = %(user_id)s::bigint /* key type */ AND t.transaction_id = %(transaction_id)s;

-- name: rule_sets
-- Published rule sets, newest first.
SELECT
    r.version, r.version = s.rule_set_version AS is_in_force, jsonb_array_length(r.document -> 'rules') AS rules,
    r.based_on, r.note, r.published_at, r.published_by, r.approved_by
FROM scoring.rule_sets AS r
CROSS JOIN scoring.settings AS s
ORDER BY r.version DESC
LIMIT 50;

-- name: rules_in_force
-- The rules in force in their order, with the live rows of 30 days that they matched.
SELECT
    r.name, r.mode, r.action, r.priority, r.condition, r.reason_code, r.reason, r.owner,
    coalesce(sum(m.matched), 0)::bigint AS matched, coalesce(sum(m.suppressed), 0)::bigint AS suppressed
FROM scoring.rules AS r
INNER JOIN scoring.settings AS s ON r.version = s.rule_set_version
LEFT JOIN scoring.rule_matches_daily AS m
    ON r.version = m.version AND r.position = m.position AND m.event_date > (now() AT TIME ZONE 'UTC')::date - 30
GROUP BY r.version, r.position
ORDER BY r.position;

-- name: current_rules
-- The document of the rule set in force.
SELECT r.version, r.document
FROM scoring.rule_sets AS r
INNER JOIN scoring.settings AS s ON r.version = s.rule_set_version;

-- name: drafts
-- The newest drafts.
SELECT
    d.draft_id, d.based_on, d.note, d.created_by, d.updated_at, d.updated_by, d.approved_by, d.published_version,
    jsonb_array_length(d.document -> 'rules') AS rules
FROM scoring.rule_drafts AS d
ORDER BY d.draft_id DESC
LIMIT 20;

-- name: draft
-- One draft; seen names the state that the page shows.
SELECT
    d.draft_id, d.document, d.based_on, d.note, d.created_by, d.updated_at, d.updated_by, d.approved_at,
    d.approved_by, d.published_version, d.updated_at::text AS seen
FROM scoring.rule_drafts AS d
WHERE d.draft_id = %(draft_id)s;

-- name: insert_draft
-- Start a draft.
WITH d AS (
    INSERT INTO scoring.rule_drafts (document, based_on, created_by, updated_by)
    VALUES (%(document)s, %(based_on)s, %(by)s, %(by)s)
    RETURNING draft_id
)

SELECT
    d.draft_id,
    scoring.record_audit(
        %(by)s, 'rules.draft', 'draft ' || d.draft_id, jsonb_build_object('based_on', %(based_on)s::integer)
    )
FROM d;

-- name: update_draft
-- Save a draft, unless another user changed it since it was shown.
WITH d AS (
    UPDATE scoring.rule_drafts AS r
    SET
        document = %(document)s, note = %(note)s, updated_at = clock_timestamp(), updated_by = %(by)s,
        approved_at = NULL, approved_by = NULL
    WHERE r.draft_id = %(draft_id)s AND r.published_version IS NULL AND r.updated_at::text = %(seen)s
    RETURNING r.draft_id, r.note, jsonb_array_length(r.document -> 'rules') AS rules
)

SELECT
    d.draft_id,
    scoring.record_audit(
        %(by)s, 'rules.edit', 'draft ' || d.draft_id, jsonb_build_object('rules', d.rules, 'note', d.note)
    )
FROM d;

-- name: approve_draft
-- Approve a draft, unless it was changed since it was shown.
WITH d AS (
    UPDATE scoring.rule_drafts AS r
    SET approved_at = clock_timestamp(), approved_by = %(by)s
    WHERE
        r.draft_id = %(draft_id)s AND r.published_version IS NULL AND r.updated_at::text = %(seen)s
        AND r.updated_by <> %(by)s
    RETURNING r.draft_id
)

SELECT d.draft_id, scoring.record_audit(%(by)s, 'rules.approve', 'draft ' || d.draft_id)
FROM d;

-- name: exceptions
-- The newest exceptions, with how often each suppressed its rule.
SELECT
    e.exception_id, e.rule_name, e.user_id, e.reason, e.ends_at, e.created_by, e.is_active, e.used_count, e.ended_by
FROM scoring.rule_exception_usage AS e
ORDER BY e.is_active DESC, e.exception_id DESC
LIMIT 50;

-- name: add_exception
-- Suppress a rule for a user.
SELECT
    a.exception_id,
    scoring.record_audit(
        %(by)s, 'rules.exception', 'rule ' || %(rule)s::text,
        jsonb_build_object('user', %(user_id)s::text, 'until', %(until)s::text, 'reason', %(reason)s::text)
    )
FROM (
    SELECT
        scoring.add_rule_exception(
            %(rule)s, %(user_id)s::bigint /* key type */, %(until)s::timestamptz, %(reason)s, %(by)s
        ) AS exception_id
) AS a;

-- name: end_exception
-- End an exception early.
SELECT
    scoring.end_rule_exception(%(exception_id)s, %(by)s),
    scoring.record_audit(%(by)s, 'rules.exception_end', 'exception ' || %(exception_id)s::bigint);

-- name: lists
-- All lists, with the number of their current entries.
SELECT
    l.name, l.column_name, l.kind, l.description, l.created_at, l.created_by,
    (
        SELECT count(*)
        FROM (
            SELECT
            FROM scoring.list_entries AS e
            WHERE
                e.list_id = l.list_id AND e.removed_at IS NULL AND (e.expires_at IS NULL OR e.expires_at > now())
            LIMIT 100000
        ) AS e
    ) AS entries
FROM scoring.lists AS l
ORDER BY l.name;

-- name: create_list
-- Create a list.
SELECT
    scoring.create_list(%(name)s, %(column)s, %(kind)s, %(description)s, %(by)s),
    scoring.record_audit(
        %(by)s, 'lists.create', 'list ' || %(name)s::text,
        jsonb_build_object('column', %(column)s::text, 'kind', %(kind)s::text)
    );

-- name: list_entries
-- The newest entries of a list, or those of one key; removed and expired ones too.
SELECT e.key, e.expires_at, e.reason, e.added_at, e.added_by, e.removed_at, e.removed_by
FROM scoring.list_entries AS e
INNER JOIN scoring.lists AS l ON e.list_id = l.list_id
WHERE
    l.name = %(name)s
    AND (
        %(key)s::text IS NULL
        OR (e.key_hash = scoring.list_key_hash(l.column_name, %(key)s::text) AND e.key = %(key)s::text)
    )
ORDER BY e.added_at DESC
LIMIT %(limit)s;

-- name: add_entries
-- Add keys to a list.
SELECT
    scoring.add_list_entries(%(name)s, %(entries)s, %(by)s) AS written,
    scoring.record_audit(
        %(by)s, 'lists.add', 'list ' || %(name)s::text,
        jsonb_build_object(
            'keys', (SELECT jsonb_agg(e -> 'key') FROM jsonb_array_elements(%(entries)s) AS e),
            'expires_at', %(entries)s -> 0 -> 'expires_at', 'reason', %(entries)s -> 0 -> 'reason'
        )
    );

-- name: remove_entries
-- Remove keys from a list.
SELECT
    scoring.remove_list_entries(%(name)s, %(keys)s, %(by)s) AS removed,
    scoring.record_audit(
        %(by)s, 'lists.remove', 'list ' || %(name)s::text, jsonb_build_object('keys', to_jsonb(%(keys)s::text[]))
    );

-- name: list_choices
-- The lists that a decision may put keys on.
SELECT l.name, l.column_name, l.kind
FROM scoring.lists AS l
ORDER BY l.name;
