-- Named queries of this room, read by rowguard.queries.

-- name: add_staged_id
-- Labels that name their transaction by another column get its id.
ALTER TABLE stage ADD COLUMN transaction_id bigint;

-- name: advance_ids
-- Move the sequence past the ids of the file, never back.
SELECT setval('public.transactions_transaction_id_seq', %(highest)s)
FROM public.transactions_transaction_id_seq AS s
WHERE s.last_value < %(highest)s;

-- name: alarms
-- Every metric with its threshold, alarms first.
SELECT
    a.metric, a.subject, a.value, a.row_count, a.alarm_threshold, a.min_rows, a.has_enough_rows, a.is_alarm
FROM features.monitoring_alarms AS a
ORDER BY a.is_alarm DESC, a.metric, a.value DESC, a.subject;

-- name: alert_reasons
-- Whether INSERTs write reason codes, and how many alerts since then have none.
SELECT
    exists(
        SELECT FROM pg_catalog.pg_trigger AS g
        WHERE g.tgrelid = 'public.transactions'::regclass AND g.tgname = 'set_alert_reasons'
    ) AS is_on,
    count(*) AS alerts,
    count(*) FILTER (WHERE t.reason_codes IS NULL) AS without
FROM public.transactions AS t
WHERE t.received_at >= %(since)s AND (t.fraud_flag = 'FRAUD' OR t.is_control);

-- name: analyze_expired
-- Statistics for the batches that follow.
ANALYZE expired_transactions;

-- name: archived_columns
-- Columns of a table with their types; generated ones can be computed again.
SELECT
    a.attname,
    format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_attribute AS a
WHERE a.attrelid = %(table)s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum;

-- name: archived_rows
-- The expired rows of a table, oldest first.
SELECT {columns}
FROM {table} AS t
INNER JOIN expired_transactions AS e ON t.user_id = e.user_id AND t.transaction_id = e.transaction_id
ORDER BY e.number;

-- name: assign_staged_ids
-- Rows without an id get one that no concurrent INSERT can get.
ALTER TABLE stage ALTER COLUMN transaction_id SET DEFAULT nextval('public.transactions_transaction_id_seq');

-- name: begin_history_load
-- For this transaction only: loaded rows are not scored. Only the owner may do so.
SELECT set_config('rowguard.load_history', 'on', true);

-- name: challenger_daily
-- Champion and challenger on the same rows, by day.
SELECT
    c.event_date, c.first_version, c.second_version, c.row_count, c.decided_by_second, c.error_count, c.first_alerts,
    c.second_alerts, c.disagreements, c.mean_difference, c.is_mature, c.frauds,
    c.first_true_positives, c.second_true_positives
FROM features.monitoring_challenger_daily AS c
ORDER BY c.event_date, c.first_version, c.second_version;

-- name: control_group
-- The current control rate, and its effect in the last 30 days.
SELECT
    coalesce(
        (SELECT s.rate FROM scoring.control_rates AS s ORDER BY s.valid_from DESC LIMIT 1), 0
    ) AS rate,
    count(*) FILTER (WHERE t.fraud_flag = 'FRAUD' OR t.is_control) AS alerts,
    count(*) FILTER (WHERE t.is_control) AS controls
FROM public.transactions AS t
WHERE t.received_at >= now() - interval '30 days' AND NOT t.is_history;

-- name: copy_rows
-- Stage a batch.
COPY stage ({columns}) FROM STDIN (FORMAT csv);

-- name: count_expired
-- How many transactions and labels are archived.
SELECT
    (SELECT count(*) FROM expired_transactions),
    (
        SELECT count(*)
        FROM public.fraud_labels AS l
        INNER JOIN expired_transactions AS e ON l.user_id = e.user_id AND l.transaction_id = e.transaction_id
    );

-- name: count_staged
-- Staged rows, labels and frauds, and the highest id.
SELECT
    count(*),
    count(s.is_fraud),
    count(*) FILTER (WHERE s.is_fraud),
    coalesce(max(s.transaction_id), 0)
FROM stage AS s;

-- name: create_expired
-- Numbered, so that a batch is one range and the large table is read once.
CREATE TEMP TABLE expired_transactions AS
SELECT 0::bigint AS number, t.user_id, t.transaction_id
FROM public.transactions AS t
WHERE false;

-- name: create_simulated_users
-- Users with simulated transactions, for delete_simulated_users.
CREATE TEMP TABLE simulated_users AS
SELECT DISTINCT l.user_id
FROM public.fraud_labels AS l
WHERE l.source = 'simulator';

-- name: create_stage
-- The rows of a file until all of them are known.
CREATE TEMP TABLE stage ({columns}) ON COMMIT DROP;

-- name: delete_batch
-- Delete one range of the expired transactions.
DELETE FROM public.transactions AS t
USING expired_transactions AS e
WHERE
    e.number BETWEEN %(first)s AND %(last)s
    AND t.user_id = e.user_id
    AND t.transaction_id = e.transaction_id;

-- name: delete_simulated_rows
-- Delete some simulated transactions; their labels follow the foreign key.
DELETE FROM public.transactions AS t
USING (
    SELECT DISTINCT l.user_id, l.transaction_id
    FROM public.fraud_labels AS l
    WHERE l.source = 'simulator'
    ORDER BY l.user_id, l.transaction_id
    LIMIT %(rows)s
) AS s
WHERE t.user_id = s.user_id AND t.transaction_id = s.transaction_id;

-- name: delete_simulated_users
-- Delete the profiles of users who have no transaction left.
DELETE FROM public.users AS u
USING simulated_users AS s
WHERE
    u.user_id = s.user_id
    AND NOT EXISTS (SELECT FROM public.transactions AS t WHERE t.user_id = u.user_id);

-- name: create_list
-- Create a list.
SELECT scoring.create_list(%(name)s, %(column)s, %(kind)s, %(description)s);

-- name: add_list_entries
-- Add keys to a list.
SELECT scoring.add_list_entries(%(name)s, %(entries)s);

-- name: remove_list_entries
-- Remove keys from a list.
SELECT scoring.remove_list_entries(%(name)s, %(keys)s);

-- name: analyze_list_entries
-- The probe of a row is planned by the size of the table.
ANALYZE scoring.list_entries;

-- name: has_list
-- A row where the list exists.
SELECT l.list_id
FROM scoring.lists AS l
WHERE l.name = %(name)s;

-- name: list_entries
-- Entries of a list in the order of their keys: the current ones, or all that there were.
SELECT e.key, e.expires_at, e.reason, e.added_at, e.added_by, e.removed_at, e.removed_by
FROM scoring.list_entries AS e
INNER JOIN scoring.lists AS l ON e.list_id = l.list_id
WHERE
    l.name = %(name)s
    AND (
        %(with_history)s
        OR (e.removed_at IS NULL AND (e.expires_at IS NULL OR e.expires_at > now()))
    )
ORDER BY e.key, e.added_at;

-- name: lists_with_sizes
-- All lists, with the number of their current entries.
SELECT
    l.name, l.column_name, l.kind, l.description, l.created_at, l.created_by,
    (
        SELECT count(*)
        FROM scoring.list_entries AS e
        WHERE
            e.list_id = l.list_id AND e.removed_at IS NULL
            AND (e.expires_at IS NULL OR e.expires_at > now())
    ) AS entries
FROM scoring.lists AS l
ORDER BY l.name;

-- name: rules_with_matches
-- The rules of a set in their order, with the live rows of 30 days that they matched.
SELECT
    r.position, r.name, r.mode, r.action, r.priority, r.condition, r.reason_code, r.reason, r.owner,
    coalesce(sum(m.matched), 0)::bigint AS matched_30d,
    coalesce(sum(m.suppressed), 0)::bigint AS suppressed_30d
FROM scoring.rules AS r
LEFT JOIN scoring.rule_matches_daily AS m
    ON r.version = m.version AND r.position = m.position AND m.event_date > (now() AT TIME ZONE 'UTC')::date - 30
WHERE r.version = %(version)s
GROUP BY r.version, r.position
ORDER BY r.position;

-- name: list_exceptions
-- Exceptions with how often each suppressed its rule.
SELECT
    e.exception_id, e.rule_name, e.user_id::text AS user_id, e.ends_at, e.is_active, e.used_count, e.reason,
    e.starts_at, e.created_by, e.ended_at, e.ended_by
FROM scoring.rule_exception_usage AS e
WHERE
    (NOT %(unused)s OR (e.is_active AND e.used_count = 0))
    AND (NOT %(stale)s OR NOT e.is_active)
ORDER BY e.exception_id DESC;

-- name: add_rule_exception
-- Suppress a rule for a user.
SELECT scoring.add_rule_exception(%(rule)s, %(user_id)s, %(ends_at)s, %(reason)s);

-- name: end_rule_exception
-- End an exception.
SELECT true
FROM scoring.end_rule_exception(%(exception_id)s);

-- name: delete_training
-- Delete the same rows from a training table.
DELETE FROM {table} WHERE occurred_at < %(cutoff)s;

-- name: distributions_daily
-- Score and features of a version against training, by day.
SELECT d.event_date, d.name, d.row_count, d.psi
FROM features.monitoring_distributions_daily AS d
WHERE d.model_version = %(version)s
ORDER BY d.event_date, d.name;

-- name: doctor_freshness
-- The values that transactions of one day read in {table}, against what was known when that day began, computed from
-- the transactions and labels. Counts and rates; sums of amounts come from the same build.
WITH wanted AS (
    SELECT
        d.name,
        d.aggregate,
        d.delay_days,
        d.window_minutes / 1440 AS days
    FROM features.feature_definitions AS d
    WHERE d.delay_days IS NOT NULL
        AND d.entity = %(entity)s
        AND d.condition IS NULL
        AND d.aggregate IN ('count', 'fraud_count', 'fraud_rate')
),

known AS (
    SELECT
        {key_of_t} AS key,
        (t.occurred_at AT TIME ZONE 'UTC')::date AS event_date,
        count(*) AS txns,
        count(*) FILTER (WHERE l.is_fraud) AS frauds
    FROM features.stg_transactions AS t
    LEFT JOIN LATERAL (
        SELECT f.is_fraud
        FROM features.stg_labels AS f
        WHERE f.user_id = t.user_id
            AND f.transaction_id = t.transaction_id
            AND (f.labelled_at AT TIME ZONE 'UTC')::date < %(day)s::date
        ORDER BY f.labelled_at DESC, f.label_id DESC
        LIMIT 1
    ) AS l ON true
    WHERE {key_of_t} IS NOT NULL
        AND t.occurred_at < (%(day)s::date)::timestamp AT TIME ZONE 'UTC'
        AND t.occurred_at >= (
            %(day)s::date - (SELECT coalesce(max(w.delay_days + w.days), 0) FROM wanted AS w)
        )::timestamp AT TIME ZONE 'UTC'
        AND (t.is_history OR (t.received_at AT TIME ZONE 'UTC')::date < %(day)s::date)
    GROUP BY {key_of_t}, (t.occurred_at AT TIME ZONE 'UTC')::date
),

expected AS (
    SELECT
        k.key,
        w.name,
        (CASE w.aggregate
            WHEN 'count' THEN sum(k.txns)
            WHEN 'fraud_count' THEN sum(k.frauds)
            ELSE sum(k.frauds)::double precision / sum(k.txns)::double precision
        END)::real AS value
    FROM known AS k
    INNER JOIN wanted AS w
        ON k.event_date BETWEEN %(day)s::date - w.delay_days - w.days AND %(day)s::date - w.delay_days - 1
    GROUP BY k.key, w.name, w.aggregate
),

current_rows AS (
    SELECT DISTINCT ON ({key_of_r})
        {key_of_r} AS key,
        to_jsonb(r) AS sums
    FROM {table} AS r
    WHERE r.valid_from <= %(day)s::date
    ORDER BY {key_of_r}, r.valid_from DESC
),

stored AS (
    SELECT
        p.key,
        w.name,
        -- A smoothed rate is stored as its two counts.
        CASE
            WHEN p.sums ? w.name THEN (p.sums ->> w.name)::real
            ELSE (
                (p.sums ->> (w.name || '_frauds'))::double precision
                / nullif((p.sums ->> (w.name || '_txns'))::double precision, 0)
            )::real
        END AS value
    FROM current_rows AS p
    CROSS JOIN wanted AS w
),

compared AS (
    SELECT
        coalesce(e.key, s.key) AS key,
        e.value AS expected,
        s.value AS stored,
        w.aggregate
    FROM expected AS e
    FULL JOIN stored AS s ON e.key = s.key AND e.name = s.name
    INNER JOIN wanted AS w ON coalesce(e.name, s.name) = w.name
)

SELECT
    count(DISTINCT c.key) AS compared,
    count(DISTINCT c.key) FILTER (
        WHERE CASE
            -- without a row, counts are 0 and rates are missing
            WHEN c.aggregate = 'fraud_rate' THEN c.expected IS DISTINCT FROM c.stored
            ELSE coalesce(c.expected, 0) <> coalesce(c.stored, 0)
        END
    ) AS stale
FROM compared AS c;

-- name: doctor_labels
-- Transactions of the last 90 days older than the label delay: those without a label, and frauds that were reported
-- later than the delay.
WITH labels AS (
    SELECT
        l.user_id,
        l.transaction_id,
        min(l.labelled_at) FILTER (WHERE l.is_fraud) AS reported_at
    FROM public.fraud_labels AS l
    GROUP BY l.user_id, l.transaction_id
)

SELECT
    count(*) AS transactions,
    count(*) - count(l.user_id) AS unlabeled,
    count(l.reported_at) AS frauds,
    count(*) FILTER (WHERE l.reported_at > t.occurred_at + make_interval(days => %(delay_days)s)) AS late_frauds
FROM public.transactions AS t
LEFT JOIN labels AS l ON t.user_id = l.user_id AND t.transaction_id = l.transaction_id
WHERE
    t.occurred_at < now() - make_interval(days => %(delay_days)s)
    AND t.occurred_at > now() - interval '90 days';

-- name: doctor_skew
-- What the model saw of sampled live rows against the same features computed again: those of the user (and those derived
-- of them), rollups, and the velocity of other entities, whose concurrent rows cannot be told afterwards.
WITH compared AS (
    SELECT f.user_id, f.transaction_id, f.occurred_at, f.received_at, f.live_values, f.recomputed_values
    FROM features.monitoring_recomputed_features AS f
    ORDER BY f.received_at DESC
    LIMIT %(newest)s
),

differing AS (
    SELECT
        c.user_id,
        c.transaction_id,
        c.occurred_at,
        c.received_at,
        d.name,
        d.skew_kind
    FROM compared AS c
    CROSS JOIN LATERAL unnest(c.live_values, c.recomputed_values) WITH ORDINALITY AS v (live, recomputed, position)
    INNER JOIN features.feature_definitions AS d ON v.position = d.position
    WHERE c.live_values IS DISTINCT FROM c.recomputed_values AND v.live IS DISTINCT FROM v.recomputed
)

SELECT
    (SELECT count(*) FROM compared) AS rows_compared,
    k.skew_kind,
    (SELECT count(*) FROM features.feature_definitions AS n WHERE n.skew_kind = k.skew_kind) AS features,
    count(d.name) AS values_differing,
    count(DISTINCT row(d.user_id, d.transaction_id)) FILTER (WHERE d.name IS NOT NULL) AS rows_differing,
    coalesce((array_agg(DISTINCT d.name) FILTER (WHERE d.name IS NOT NULL))[:5], '{}') AS features_differing
FROM (VALUES ('window'), ('rollup'), ('shared')) AS k (skew_kind)
LEFT JOIN differing AS d ON k.skew_kind = d.skew_kind
GROUP BY k.skew_kind
ORDER BY array_position(ARRAY['window', 'rollup', 'shared'], k.skew_kind);

-- name: doctor_totals
-- Whether each user's running totals continue from row to row. Users with pending totals are left out: their features
-- are read with a row scan until the totals are recomputed. The first row may have any: older ones may be archived.
WITH totals AS (
    SELECT
        t.user_id,
        t.user_txns_before AS txns,
        t.user_amount_before AS amount,
        t.user_amount_squares_before AS squares,
        lag(t.user_txns_before) OVER of_user AS txns_before,
        lag(t.user_amount_before) OVER of_user AS amount_before,
        lag(t.user_amount_squares_before) OVER of_user AS squares_before,
        lag(t.amount) OVER of_user AS last_amount
    FROM public.transactions AS t
    WHERE t.user_id NOT IN (SELECT n.user_id FROM public.transactions AS n WHERE n.user_txns_before IS NULL)
    WINDOW of_user AS (PARTITION BY t.user_id ORDER BY t.occurred_at, t.user_txns_before)
)

SELECT
    count(*) AS rows_checked,
    count(*) FILTER (WHERE s.is_broken) AS rows_broken,
    count(DISTINCT s.user_id) FILTER (WHERE s.is_broken) AS users_broken,
    (array_agg(DISTINCT s.user_id) FILTER (WHERE s.is_broken))[:5] AS broken_users,
    (SELECT count(*) FROM public.transactions AS t WHERE t.user_txns_before IS NULL) AS rows_pending,
    (
        SELECT count(DISTINCT t.user_id) FROM public.transactions AS t WHERE t.user_txns_before IS NULL
    ) AS users_pending
FROM (
    SELECT
        p.user_id,
        p.txns_before IS NOT NULL
        AND (
            p.txns IS DISTINCT FROM p.txns_before + 1
            OR p.amount IS DISTINCT FROM p.amount_before + p.last_amount
            OR p.squares IS DISTINCT FROM p.squares_before + p.last_amount * p.last_amount
        ) AS is_broken
    FROM totals AS p
) AS s;

-- name: doctor_unscored
-- Live rows of the last hours without a decision, since a model was first deployed, the newest reason, and rows that
-- were decided without their user's lock or on an old snapshot.
SELECT
    count(*) AS live_rows,
    count(t.features_caveat) AS rows_with_caveat,
    array_agg(DISTINCT t.features_caveat) FILTER (WHERE t.features_caveat IS NOT NULL) AS caveats,
    count(*) FILTER (WHERE t.is_unscored) AS rows_unscored,
    max(t.received_at) FILTER (WHERE t.is_unscored) AS newest_unscored_at,
    (array_agg(t.unscored_reason ORDER BY t.received_at DESC) FILTER (WHERE t.is_unscored))[1] AS newest_reason
FROM (
    SELECT
        r.received_at,
        r.unscored_reason,
        r.features_caveat,
        r.model_version IS NULL
        AND r.received_at > (SELECT min(m.deployed_at) FROM scoring.models AS m) AS is_unscored
    FROM public.transactions AS r
    WHERE NOT r.is_history AND r.received_at > now() - make_interval(hours => %(hours)s)
) AS t;

-- name: drift
-- Score and features of a version over the last 7 days, most drifted first.
SELECT d.name, d.row_count, d.psi, d.live_fractions, d.reference_fractions
FROM features.monitoring_drift AS d
WHERE d.model_version = %(version)s
ORDER BY d.psi DESC;

-- name: export_query
-- The rows of a query as CSV with a header.
COPY ({query}) TO STDOUT (FORMAT csv, HEADER);

-- name: fill_expired
-- Oldest first: without a user's oldest rows the running totals of the others remain right.
INSERT INTO expired_transactions (number, user_id, transaction_id)
SELECT row_number() OVER (ORDER BY t.occurred_at, t.user_id, t.transaction_id), t.user_id, t.transaction_id
FROM public.transactions AS t
WHERE t.occurred_at < %(cutoff)s;

-- name: finish_retention_run
-- Record the end of a run.
UPDATE scoring.retention_runs
SET finished_at = clock_timestamp()
WHERE run_id = %(run_id)s;

-- name: has_real_rows
-- Whether there are transactions without a label of the simulator: loaded ones, or live ones beyond a few that were
-- inserted by hand into a simulated history.
SELECT
    coalesce(bool_or(t.is_history), false)
    OR count(*) > 0.01 * (SELECT count(*) FROM public.fraud_labels AS s WHERE s.source = 'simulator')
FROM public.transactions AS t
LEFT JOIN public.fraud_labels AS l
    ON t.user_id = l.user_id AND t.transaction_id = l.transaction_id AND l.source = 'simulator'
WHERE l.user_id IS NULL;

-- name: insert_retention_run
-- Recorded before the first row is deleted: from now on the training set starts at complete_from.
INSERT INTO scoring.retention_runs (cutoff, complete_from, transactions, labels, archives)
VALUES (%(cutoff)s, %(complete_from)s, %(transactions)s, %(labels)s, %(archives)s)
RETURNING run_id;

-- name: join_labels
-- The transaction of each staged label.
UPDATE stage AS s
SET user_id = t.user_id, transaction_id = t.transaction_id
FROM public.transactions AS t
WHERE t.{column}::text = s.{column} AND (s.user_id IS NULL OR t.user_id = s.user_id);

-- name: lock_archive
-- For the session, which is a direct connection and ends with the run.
SELECT pg_try_advisory_lock(scoring.job_lock_space(), scoring.job_lock_key('archive'));

-- name: longest_window
-- The longest lookback of the built list in hours, delay included.
SELECT max(coalesce((d.window_minutes + 59) / 60, 0) + 24 * coalesce(d.delay_days, 0))
FROM features.feature_definitions AS d;

-- name: money_daily
-- Alerts and known frauds by day. An alert without a label is open until the label delay is over, then it is false.
SELECT
    r.event_date,
    count(*) FILTER (WHERE r.is_alert AND r.known_fraud IS NULL AND NOT r.is_mature) AS open_alerts,
    coalesce(
        sum(t.amount) FILTER (WHERE r.is_alert AND r.known_fraud IS NULL AND NOT r.is_mature), 0
    ) AS open_amount,
    count(*) FILTER (WHERE r.is_alert AND r.known_fraud) AS caught,
    coalesce(sum(t.amount) FILTER (WHERE r.is_alert AND r.known_fraud), 0) AS caught_amount,
    count(*) FILTER (WHERE NOT r.is_alert AND r.known_fraud) AS missed,
    coalesce(sum(t.amount) FILTER (WHERE NOT r.is_alert AND r.known_fraud), 0) AS missed_amount,
    count(*) FILTER (
        WHERE r.is_alert AND NOT coalesce(r.known_fraud, false) AND (r.is_mature OR r.known_fraud IS NOT NULL)
    ) AS false_alerts
FROM features.monitoring_transactions AS r
INNER JOIN public.transactions AS t ON r.user_id = t.user_id AND r.transaction_id = t.transaction_id
WHERE r.is_alert OR r.known_fraud
GROUP BY r.event_date
ORDER BY r.event_date;

-- name: outcomes_daily
-- Precision and recall by day and version, as far as labels are known.
SELECT o.event_date, o.model_version, o.is_mature, o.precision, o.recall
FROM features.monitoring_outcomes_daily AS o
ORDER BY o.event_date, o.model_version;

-- name: plain_times
-- Times as the importer reads them, whatever the session's settings are.
SELECT set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true);

-- name: rescore_compare
-- Rows that the bulk form and the deployed function score differently, in any bit.
SELECT count(*)
FROM ({bulk} LIMIT {rows}) AS b
INNER JOIN features.training_set AS f ON b.user_id = f.user_id AND b.transaction_id = f.transaction_id
WHERE {score} IS DISTINCT FROM b.fraud_probability;

-- name: rescore_count
-- How many rows are selected, and how many of them have their features.
SELECT
    count(*),
    count(f.user_id)
FROM public.transactions AS t
LEFT JOIN features.training_set AS f ON t.user_id = f.user_id AND t.transaction_id = f.transaction_id
WHERE {condition} AND t.occurred_at >= {start} AND t.occurred_at < {end};

-- name: rescore_decide
-- Store the decisions on their rows, and the former reason. A row that was decided in the meantime is unchanged.
WITH unscored AS (
    SELECT
        t.user_id,
        t.transaction_id,
        t.unscored_reason,
        t.is_history,
        s.fraud_probability
    FROM rescored_now AS s
    INNER JOIN public.transactions AS t ON s.user_id = t.user_id AND s.transaction_id = t.transaction_id
    WHERE t.model_version IS NULL
    FOR UPDATE OF t
),

decided AS (
    UPDATE public.transactions AS t
    SET
        fraud_probability = w.fraud_probability,
        fraud_flag = CASE
            WHEN w.fraud_probability >= %(threshold)s::double precision THEN 'FRAUD'
            ELSE 'LEGITIMATE'
        END,
        model_version = %(version)s,
        scored_at = clock_timestamp(),
        feature_values = f.feature_values,
        unscored_reason = NULL
    FROM unscored AS w
    INNER JOIN features.training_set AS f ON w.user_id = f.user_id AND w.transaction_id = f.transaction_id
    WHERE t.user_id = w.user_id AND t.transaction_id = w.transaction_id
    RETURNING t.user_id, t.transaction_id, w.unscored_reason, t.fraud_flag
),

recorded AS (
    INSERT INTO scoring.rescored_transactions (user_id, transaction_id, unscored_reason, model_version)
    SELECT
        d.user_id,
        d.transaction_id,
        d.unscored_reason,
        %(version)s
    FROM decided AS d
)

SELECT
    count(*),
    count(*) FILTER (WHERE d.fraud_flag = 'FRAUD')
FROM decided AS d;

-- name: rescore_into
-- Store the scores in a new table.
CREATE TABLE {table} AS
SELECT
    s.user_id,
    s.transaction_id,
    s.occurred_at,
    s.fraud_probability,
    CASE WHEN s.fraud_probability >= {threshold}::double precision THEN 'FRAUD' ELSE 'LEGITIMATE' END AS fraud_flag,
    {version}::text AS model_version,
    clock_timestamp() AS scored_at
FROM (
{scores}
) AS s;

-- name: rescore_into_count
-- Rows and alerts of that table.
SELECT
    count(*),
    count(*) FILTER (WHERE b.fraud_flag = 'FRAUD')
FROM {table} AS b;

-- name: rescore_scores
-- The selected rows with their score. Where every row is selected, the planner removes the join.
SELECT
    r.user_id,
    r.transaction_id,
    r.occurred_at,
    {score} AS fraud_probability
FROM (
    SELECT
        f.user_id,
        f.transaction_id,
        f.occurred_at,
        {features}
    FROM features.training_set AS f
    LEFT JOIN public.transactions AS t ON f.user_id = t.user_id AND f.transaction_id = t.transaction_id
    WHERE {condition} AND f.occurred_at >= {start} AND f.occurred_at < {end}
    -- Keeps the subquery, so that each feature is unpacked once. A bare 0 would be taken for a limit, which is
    -- not planned in parallel.
    OFFSET '0'::bigint
) AS r;

-- name: rescore_stage
-- Stage the scores.
CREATE TEMP TABLE rescored_now ON COMMIT DROP AS
{scores};

-- name: rollup_tables
-- Entity, name and key columns of the tables of daily sums of a feature list; `overall` has no key.
SELECT
    left(c.relname, -length(%(suffix)s)),
    c.relname,
    array_agg(a.attname::text ORDER BY a.attnum)
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_attribute AS a ON c.oid = a.attrelid AND a.attnum > 0 AND NOT a.attisdropped
INNER JOIN pg_catalog.pg_attribute AS v ON c.oid = v.attrelid AND v.attname = 'valid_from' AND a.attnum < v.attnum
WHERE
    c.relnamespace = to_regnamespace('features')
    AND c.relkind = 'r'
    AND right(c.relname, length(%(suffix)s)) = %(suffix)s
GROUP BY c.relname
ORDER BY c.relname;

-- name: scores_daily
-- Volume, alert rate and scores by day and version.
SELECT d.event_date, d.model_version, d.row_count, d.alert_rate, d.score_quantiles
FROM features.monitoring_scores_daily AS d
ORDER BY d.event_date, d.model_version;

-- name: set_control_rate
-- Every change is stored with its time.
INSERT INTO scoring.control_rates (rate)
VALUES (%(rate)s);

-- name: store_history
-- Store the staged rows in order of event time. A user's first row is pending, so features are read with a row scan
-- until recompute_totals has compared the totals under the user's lock; those of a user without other rows are right.
INSERT INTO public.transactions (
    {columns}, received_at, is_history, user_txns_before, user_amount_before, user_amount_squares_before
)
SELECT
    {values},
    statement_timestamp(),
    true,
    nullif(count(*) OVER before, 0),
    sum(s.amount) OVER before,
    sum(s.amount * s.amount) OVER before
FROM stage AS s
WINDOW before AS (
    PARTITION BY s.user_id
    ORDER BY s.occurred_at, s.transaction_id
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
)
ORDER BY s.occurred_at, s.transaction_id;

-- name: store_history_labels
-- Store the staged labels. One without a time counts as known a label delay after its transaction.
INSERT INTO public.fraud_labels (user_id, transaction_id, is_fraud, labelled_at, source)
SELECT
    s.user_id,
    s.transaction_id,
    s.is_fraud,
    coalesce(s.labelled_at, s.occurred_at + make_interval(secs => %(delay_s)s)),
    %(source)s
FROM stage AS s
WHERE s.is_fraud IS NOT NULL;

-- name: store_labels
-- Store the staged labels, and count them and their frauds. One without a time is known from now on.
WITH stored AS (
    INSERT INTO public.fraud_labels (user_id, transaction_id, is_fraud, labelled_at, source)
    SELECT s.user_id, s.transaction_id, s.is_fraud, coalesce(s.labelled_at, now()), coalesce(s.source, %(source)s)
    FROM stage AS s
    RETURNING is_fraud
)

SELECT count(*), count(*) FILTER (WHERE t.is_fraud)
FROM stored AS t;

-- name: store_reference
-- Insert or update rows of a reference table.
INSERT INTO public.{table} AS r ({key}, {columns})
SELECT s.{key}, {staged}
FROM stage AS s
ON CONFLICT ({key}) DO UPDATE
    SET {assigned}, updated_at = now()
    WHERE row({current}) IS DISTINCT FROM row({new});

-- name: table_exists
-- Whether a table exists.
SELECT to_regclass(%(name)s) IS NOT NULL;

-- name: training_tables
-- The training tables of all built feature lists.
SELECT c.relname
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = to_regnamespace('features') AND c.relname LIKE 'training\_features\_%' AND c.relkind = 'r'
ORDER BY c.relname;

-- name: unjoined_labels
-- Staged labels that fit no transaction, or several: their number, and an example.
SELECT
    count(*) OVER (PARTITION BY m.matches > 1) AS labels,
    m.label_value,
    m.matches
FROM (
    SELECT
        s.{column} AS label_value,
        count(t.user_id) AS matches
    FROM stage AS s
    LEFT JOIN public.transactions AS t
        ON s.{column} = t.{column}::text AND (s.user_id IS NULL OR s.user_id = t.user_id)
    GROUP BY s.ctid, s.{column}
) AS m
WHERE m.matches <> 1
ORDER BY m.matches, m.label_value
LIMIT 1;

-- name: vacuum_transactions
-- Fresh statistics after a load; free space after an archive run.
VACUUM (ANALYZE) public.transactions, public.fraud_labels;

-- name: build_explanation
-- Build the tables of a model's explanation from its document in the registry.
SELECT scoring.build_explanation(%(version)s);

-- name: explain_alerts
-- Fill in reason codes of a batch of alerts.
SELECT scoring.explain_alerts(%(since)s, %(max_rows)s);

-- name: explanation
-- The explanation of a stored decision as one document.
SELECT public.explanation(%(user_id)s, %(transaction_id)s, %(top)s, %(language)s);

-- name: passing_changes
-- The single changes that would have let an alert pass.
SELECT c.feature, c.value, c.passing_value, c.fraud_probability, c.cuts_crossed
FROM public.passing_changes(%(user_id)s, %(transaction_id)s) AS c;

-- name: set_reasons_on_alerts
-- Switch reason codes in the INSERT on or off.
SELECT scoring.set_reasons_on_alerts(%(is_on)s);

-- name: doctor_additivity
-- Alerts of the last hours whose contributions do not add up to the stored score.
WITH alerts AS (
    SELECT
        t.model_version, t.user_id, t.transaction_id, t.fraud_probability, t.feature_values,
        row_number() OVER (PARTITION BY t.model_version ORDER BY t.user_id, t.transaction_id) AS n
    FROM public.transactions AS t
    WHERE
        t.received_at >= now() - make_interval(hours => %(hours)s)
        AND (t.fraud_flag = 'FRAUD' OR t.is_control)
),

models AS (
    SELECT
        a.model_version,
        array_agg(a.feature_values ORDER BY a.n) AS feature_values
    FROM alerts AS a
    GROUP BY a.model_version
),

errors AS (
    SELECT
        a.model_version,
        a.n,
        e.tolerance,
        scoring.additivity_error(e, c.contributions, a.fraud_probability, v.margin_cut, v.threshold) AS difference
    FROM models AS m
    INNER JOIN scoring.explanations AS e ON m.model_version = e.version
    INNER JOIN scoring.models AS v ON m.model_version = v.version
    CROSS JOIN LATERAL scoring.compute_contributions_of_rows(e, m.feature_values) AS c
    INNER JOIN alerts AS a ON m.model_version = a.model_version AND c.row_number = a.n
)

SELECT
    count(*) AS alerts,
    count(s.difference) AS alerts_explained,
    count(*) FILTER (WHERE NOT s.difference <= s.tolerance) AS alerts_differing,
    max(s.difference) AS largest_difference
FROM alerts AS a
LEFT JOIN errors AS s ON a.model_version = s.model_version AND a.n = s.n;

-- name: open_review_cases
-- Give each transaction that waits for review a case; returns how many were opened.
SELECT scoring.open_review_cases(%(due_hours)s);

-- name: review_cases
-- Review cases: waiting ones by urgency, then decided ones, the newest first.
SELECT
    c.case_id, c.state, c.user_id, c.transaction_count AS transactions, c.amount_total AS amount,
    c.max_fraud_probability AS fraud_probability, c.due_at, c.claimed_by, c.decision, c.decided_by, c.decided_at,
    c.note
FROM scoring.review_cases AS c
WHERE c.state = any(%(states)s) AND (%(claimed_by)s::text IS NULL OR c.claimed_by = %(claimed_by)s)
ORDER BY c.decided_at DESC NULLS FIRST, c.due_at, c.case_id
LIMIT %(limit)s;

-- name: claim_review_case
-- Claim a case, or the most urgent open one.
SELECT c.case_id
FROM scoring.claim_review_case(%(by)s, %(case_id)s) AS c;

-- name: release_review_case
-- Put a claimed case back into the queue, also another reviewer's.
SELECT c.case_id
FROM scoring.release_review_case(%(case_id)s, %(by)s, true) AS c;

-- name: decide_review_cases
-- Decide cases, all or none.
SELECT c.case_id
FROM scoring.decide_review_cases(
    %(case_ids)s, %(decision)s, %(by)s, %(note)s, NULL, %(list)s, %(expires_at)s
) AS c;

-- name: reopen_review_case
-- Open a decided case again.
SELECT c.case_id
FROM scoring.reopen_review_case(%(case_id)s, %(by)s, %(note)s, %(due_hours)s) AS c;

-- name: review_case
-- One case.
SELECT
    c.case_id, c.state, c.user_id, c.transaction_count AS transactions, c.amount_total AS amount,
    c.max_fraud_probability AS fraud_probability, c.opened_at, c.due_at, c.claimed_by, c.claimed_at, c.decision,
    c.decided_by, c.decided_at, c.note
FROM scoring.review_cases AS c
WHERE c.case_id = %(case_id)s;

-- name: review_case_transactions
-- The transactions of a case.
SELECT t.transaction_id, t.occurred_at, t.amount, t.fraud_probability, t.reason_codes
FROM scoring.review_case_transactions AS r
INNER JOIN public.transactions AS t ON r.user_id = t.user_id AND r.transaction_id = t.transaction_id
WHERE r.case_id = %(case_id)s
ORDER BY t.occurred_at, t.transaction_id;

-- name: review_case_events
-- The events of a case, oldest first.
SELECT e.recorded_at, e.actor, e.action, e.details
FROM scoring.audit_events AS e
WHERE e.subject = 'case ' || %(case_id)s::bigint
ORDER BY e.event_id;
