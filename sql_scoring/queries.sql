-- Named queries of this room, read by rowguard.queries.

-- name: domain_rules
-- Domains of declared columns and the comments that identify their rules.
SELECT t.typname, obj_description(t.oid, 'pg_type')
FROM pg_catalog.pg_type AS t
WHERE t.typnamespace = to_regnamespace('scoring') AND t.typtype = 'd' AND t.typname LIKE '%%\_value';

-- name: empty_features
-- Features that are missing in every row of the training set; each look ends at the first row that has a value.
SELECT d.name
FROM features.feature_definitions AS d
WHERE
    EXISTS (SELECT FROM features.training_set)
    AND (
        SELECT true FROM features.training_set AS f WHERE f.feature_values[d.position] IS NOT NULL LIMIT 1
    ) IS NULL
ORDER BY d.position;

-- name: entity_indexes
-- Indexes of entities, and whether their creation was completed.
SELECT c.relname, i.indisvalid
FROM pg_catalog.pg_index AS i
INNER JOIN pg_catalog.pg_class AS c ON i.indexrelid = c.oid
WHERE i.indrelid = to_regclass('public.transactions') AND c.relname LIKE %(prefix)s;

-- name: existing_objects
-- The names of these that a table, a view, a type, a sequence or a function has.
SELECT n.name
FROM unnest(%(names)s::text[]) AS n (name)
WHERE
    to_regclass(n.name) IS NOT NULL
    OR to_regtype(n.name) IS NOT NULL
    OR EXISTS (
        SELECT FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace = to_regnamespace(split_part(n.name, '.', 1)) AND p.proname = split_part(n.name, '.', 2)
    )
ORDER BY n.name;

-- name: facade_version
-- The version that decides for callers now.
SELECT (scoring.decide_from_features(1, NULL, NULL, NULL)).model_version;

-- name: function_exists
-- Whether a version's scoring function exists: old ones are pruned.
SELECT to_regprocedure(%(function_name)s || '(real[])') IS NOT NULL;

-- name: explanation_kind
-- Whether contributions of this version are looked up in tables, and how exactly they add up.
SELECT
    e.group_count IS NOT NULL AS has_tables,
    e.tolerance
FROM scoring.explanations AS e
WHERE e.version = %(version)s;

-- name: functions_that_read
-- Feature functions of deployed lists, and the rule set in force, whose text matches; and the probe of the lists.
SELECT p.proname
FROM pg_catalog.pg_proc AS p
INNER JOIN scoring.models AS m ON right(p.proname, 8) = left(m.feature_hash, 8)
WHERE
    p.pronamespace = to_regnamespace('features')
    AND m.state IN ('champion', 'challenger')
    AND p.prosrc ~ %(pattern)s
UNION ALL
SELECT p.proname
FROM pg_catalog.pg_proc AS p
CROSS JOIN scoring.settings AS s
WHERE
    p.pronamespace = to_regnamespace('scoring')
    AND p.proname IN ('find_lists', 'rule_set_' || s.rule_set_version)
    AND p.prosrc ~ %(pattern)s;

-- name: has_feature_function
-- Whether the live feature function of a list is built.
SELECT to_regprocedure(
    format('features.live_feature_values_%%s(scoring.scoring_request)', %(hash8)s::text)
) IS NOT NULL;

-- name: has_features
-- A row where the built tables have rows: those of a schema that was copied without its rows have none.
SELECT d.name
FROM features.feature_definitions AS d
LIMIT 1;

-- name: insert_gate_report
-- Stores an evaluation by the gates.
INSERT INTO scoring.gate_reports (version, champion, is_passed, is_forced, reasons, details)
VALUES (%(version)s, %(champion)s, %(is_passed)s, %(is_forced)s, %(reasons)s, %(details)s);

-- name: champion_features
-- Features of the champion, in its order.
SELECT m.feature_names
FROM public.model_versions AS m
WHERE m.state = 'champion';

-- name: list_names
-- Names of all lists.
SELECT l.name
FROM scoring.lists AS l;

-- name: set_time_settings
-- To the end of the transaction.
SELECT set_config('TimeZone', %(zone)s, true), set_config('DateStyle', %(style)s, true);

-- name: checked_expressions
-- The generated columns of check_rules, as PostgreSQL read them.
SELECT pg_get_expr(d.adbin, d.adrelid)
FROM pg_catalog.pg_attrdef AS d
WHERE d.adrelid = to_regclass('pg_temp.rowguard_check')
ORDER BY d.adnum;

-- name: current_rule_set
-- The rule set in force; 0 is none.
SELECT s.rule_set_version
FROM scoring.settings AS s;

-- name: last_rule_set
-- The highest version that was published, and who published it.
SELECT r.version, r.published_by
FROM scoring.rule_sets AS r
ORDER BY r.version DESC
LIMIT 1;

-- name: select_rule_set
-- A published rule set.
SELECT
    r.version, r.document, r.feature_names, r.list_names, r.based_on, r.note, r.sql_text, r.sql_sha256,
    r.published_at, r.published_by, r.approved_by
FROM scoring.rule_sets AS r
WHERE r.version = %(version)s;

-- name: list_rule_sets
-- All published rule sets, newest first.
SELECT
    r.version, r.version = s.rule_set_version AS is_in_force, jsonb_array_length(r.document -> 'rules') AS rules,
    r.based_on, r.note, r.published_at, r.published_by, r.approved_by
FROM scoring.rule_sets AS r
CROSS JOIN scoring.settings AS s
ORDER BY r.version DESC;

-- name: select_rule_set_revisions
-- The generated migrations of rule sets, oldest first, with the text of their functions.
SELECT
    v.revision, v.schema_revision, v.kind, v.version, v.upgrade_text,
    CASE WHEN v.kind = 'publish_rules' THEN r.sql_text END AS sql_text
FROM scoring.rule_set_revisions AS v
LEFT JOIN scoring.rule_sets AS r ON v.version = r.version
ORDER BY v.position;

-- name: select_draft
-- A draft of a rule set.
SELECT d.draft_id, d.document, d.based_on, d.note, d.created_by, d.updated_by, d.approved_by, d.published_version
FROM scoring.rule_drafts AS d
WHERE d.draft_id = %(draft_id)s
FOR UPDATE;

-- name: record_published_draft
-- Names the version that a draft became.
UPDATE scoring.rule_drafts AS d
SET published_version = %(version)s
WHERE d.draft_id = %(draft_id)s;

-- name: rule_set_in_force
-- The document of the rule set in force; no row without one.
SELECT r.document
FROM scoring.rule_sets AS r
INNER JOIN scoring.settings AS s ON r.version = s.rule_set_version;

-- name: list_columns
-- Lists with their columns.
SELECT l.name, l.list_id, l.column_name
FROM scoring.lists AS l;

-- name: champion_threshold
-- From which score on a row is an alert.
SELECT m.threshold
FROM public.model_versions AS m
WHERE m.state = 'champion';

-- name: built_feature_hash
-- The list whose training set is built.
SELECT d.feature_hash
FROM features.feature_definitions AS d
LIMIT 1;

-- name: backtest_sources
-- The champion, the versions whose stored values have its features in its order, and whether this role reads the
-- training set and runs the champion.
SELECT
    m.version,
    m.feature_hash,
    (
        SELECT array_agg(o.version ORDER BY o.version)
        FROM public.model_versions AS o
        WHERE o.feature_names = m.feature_names
    ) AS versions,
    coalesce(
        has_schema_privilege('features', 'USAGE')
        AND has_table_privilege(to_regclass('features.training_set'), 'SELECT')
        AND has_table_privilege('scoring.models', 'SELECT')
        AND has_function_privilege(to_regprocedure('scoring.' || m.version || '(real[])'), 'EXECUTE'),
        false
    ) AS may_read_history
FROM public.model_versions AS m
WHERE m.state = 'champion';

-- name: backtest_period
-- Transactions of a period, and the known frauds among them.
SELECT
    (
        SELECT count(*)
        FROM public.transactions AS t
        WHERE
            t.occurred_at >= coalesce(%(start)s::timestamptz, '-infinity')
            AND t.occurred_at < coalesce(%(end)s::timestamptz, 'infinity')
    ) AS transactions,
    (
        SELECT count(*)
        FROM (SELECT DISTINCT l.user_id, l.transaction_id FROM public.fraud_labels AS l WHERE l.is_fraud) AS f
        INNER JOIN public.transactions AS t ON f.user_id = t.user_id AND f.transaction_id = t.transaction_id
        WHERE
            t.occurred_at >= coalesce(%(start)s::timestamptz, '-infinity')
            AND t.occurred_at < coalesce(%(end)s::timestamptz, 'infinity')
            AND (
                SELECT n.is_fraud
                FROM public.fraud_labels AS n
                WHERE n.user_id = f.user_id AND n.transaction_id = f.transaction_id
                ORDER BY n.labelled_at DESC, n.label_id DESC
                LIMIT 1
            )
    ) AS frauds;

-- name: backtest_matches
-- Per day, what each rule (by number) and any of them (0) would have matched. One scan evaluates the rules; labels and
-- the live rules are read for matched rows only.
WITH
matched AS MATERIALIZED (
    SELECT
        t.user_id,
        t.transaction_id,
        t.amount,
        (t.occurred_at AT TIME ZONE 'UTC')::date AS event_date,
        {is_alert} AS is_alert,
        array_remove(ARRAY[{flags}], NULL) AS rules,
        array_remove(ARRAY[{live}], NULL) AS live_names
    FROM public.transactions AS t
    {joins}
    WHERE
        t.occurred_at >= coalesce({start}::timestamptz, '-infinity')
        AND t.occurred_at < coalesce({end}::timestamptz, 'infinity')
        AND ({any})
),

amount_of_matches AS MATERIALIZED (
    SELECT count(*) > 50000 AS is_large FROM matched
),

labeled AS (
    SELECT
        m.*,
        coalesce(l.is_fraud, a.is_fraud) AS is_fraud,
        coalesce(l.is_fraud, a.is_fraud, false) AS is_known_fraud
    FROM matched AS m
    -- Few matches look their labels up; of many, all labels are read once.
    LEFT JOIN LATERAL (
        SELECT n.is_fraud
        FROM public.fraud_labels AS n
        WHERE
            n.user_id = m.user_id AND n.transaction_id = m.transaction_id
            AND NOT (SELECT k.is_large FROM amount_of_matches AS k)
        ORDER BY n.labelled_at DESC, n.label_id DESC
        LIMIT 1
    ) AS l ON true
    LEFT JOIN (
        SELECT DISTINCT ON (n.user_id, n.transaction_id) n.user_id, n.transaction_id, n.is_fraud
        FROM public.fraud_labels AS n
        WHERE (SELECT k.is_large FROM amount_of_matches AS k)
        ORDER BY n.user_id, n.transaction_id, n.labelled_at DESC, n.label_id DESC
    ) AS a ON m.user_id = a.user_id AND m.transaction_id = a.transaction_id
),

each_rule AS (
    SELECT
        d.*,
        r.rule,
        CASE
            WHEN r.rule = 0 THEN NOT d.live_names <@ ({names})::text[]
            ELSE array_remove(d.live_names, (({names})::text[])[r.rule]) <> '{{}}'
        END AS is_live_match
    FROM labeled AS d
    CROSS JOIN LATERAL unnest(0 || d.rules) AS r (rule)
)

SELECT
    e.rule,
    e.event_date,
    count(*) AS matched,
    count(*) FILTER (WHERE e.is_known_fraud) AS frauds,
    count(*) FILTER (WHERE e.is_fraud IS NULL) AS unlabeled,
    count(*) FILTER (WHERE e.is_alert) AS alerts,
    count(*) FILTER (WHERE e.is_live_match) AS live_rules,
    count(*) FILTER (WHERE NOT e.is_alert AND NOT e.is_live_match) AS added,
    count(*) FILTER (WHERE NOT e.is_alert AND NOT e.is_live_match AND e.is_known_fraud) AS added_frauds,
    coalesce(sum(e.amount) FILTER (WHERE e.is_known_fraud), 0) AS fraud_amount,
    coalesce(sum(e.amount) FILTER (WHERE NOT e.is_known_fraud), 0) AS good_amount,
    coalesce(
        sum(e.amount) FILTER (WHERE NOT e.is_alert AND NOT e.is_live_match AND e.is_known_fraud), 0
    ) AS added_fraud_amount,
    coalesce(
        sum(e.amount) FILTER (WHERE NOT e.is_alert AND NOT e.is_live_match AND NOT e.is_known_fraud), 0
    ) AS added_good_amount
FROM each_rule AS e
GROUP BY e.rule, e.event_date
ORDER BY e.rule, e.event_date;

-- name: scored_rows
-- Live scores of a period with the label that is known now, highest first.
SELECT
    t.fraud_probability,
    coalesce(l.is_fraud, false) AS is_fraud
FROM public.transactions AS t
LEFT JOIN LATERAL (
    SELECT n.is_fraud
    FROM public.fraud_labels AS n
    WHERE n.user_id = t.user_id AND n.transaction_id = t.transaction_id
    ORDER BY n.labelled_at DESC, n.label_id DESC
    LIMIT 1
) AS l ON true
WHERE
    t.model_version = %(version)s
    AND t.occurred_at >= coalesce(%(start)s::timestamptz, '-infinity')
    AND t.occurred_at < coalesce(%(end)s::timestamptz, 'infinity')
ORDER BY t.fraud_probability DESC;

-- name: insert_model
-- Registers a candidate.
INSERT INTO scoring.models
SELECT m.* FROM jsonb_populate_record(NULL::scoring.models, %(model)s) AS m;

-- name: job_lock_holders
-- The sessions that hold the lock of a job.
SELECT format('session %%s of %%s', l.pid, coalesce(a.usename, 'another user'))
FROM pg_locks AS l
LEFT JOIN pg_stat_activity AS a ON l.pid = a.pid
WHERE
    l.locktype = 'advisory' AND l.granted
    AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    AND l.objsubid = 2
    AND l.classid::bigint = scoring.job_lock_space()
    AND l.objid::bigint = scoring.job_lock_key(%(job)s);

-- name: lock_job
-- Waits for the session that holds it; see try_lock_job.
SELECT CASE
    WHEN %(is_shared)s THEN pg_advisory_xact_lock_shared(scoring.job_lock_space(), scoring.job_lock_key(%(job)s))
    ELSE pg_advisory_xact_lock(scoring.job_lock_space(), scoring.job_lock_key(%(job)s))
END;

-- name: measure_additivity
-- The largest difference between base plus contributions and the function, over rows one after another.
SELECT coalesce(
    max(
        scoring.additivity_error(
            m, c.contributions,
            {function}(
                (%(values)s::real[])[(c.row_number - 1) * m.feature_count + 1:c.row_number * m.feature_count]
            )
        )
    ),
    0
)
FROM scoring.explanations AS m
CROSS JOIN LATERAL scoring.compute_contributions_of_rows(m, %(values)s::real[]) AS c
WHERE m.version = %(version)s;

-- name: missing_feature_functions
-- Feature functions that the facade calls and that are not built here.
SELECT DISTINCT
    p.proname AS caller,
    'features.' || m.called[1] AS called
FROM pg_catalog.pg_proc AS p
CROSS JOIN LATERAL regexp_matches(p.prosrc, 'features\.(\w+)\(', 'g') AS m (called)
WHERE
    p.pronamespace = to_regnamespace('scoring')
    AND p.proname IN ('decide_transaction', 'decide_from_features', 'shadow_score')
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_proc AS f
        WHERE f.pronamespace = to_regnamespace('features') AND f.proname = m.called[1]
    )
ORDER BY caller, called;

-- name: own_schema
-- The schema of rowguard's transactions; no row before the first migration.
SELECT n.nspname
FROM pg_catalog.pg_trigger AS g
INNER JOIN pg_catalog.pg_class AS c ON g.tgrelid = c.oid
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE g.tgfoid = to_regproc('scoring.score_on_insert') AND g.tgname = 'score_on_insert';

-- name: reapply_failure_policy
-- Sets the lock timeout on the trigger's function again, after a migration may have replaced it.
SELECT scoring.set_failure_policy();

-- name: recompute_totals
-- Recomputes pending totals of a batch of users.
SELECT scoring.recompute_totals(%(user_ids)s);

-- name: drop_explanation
-- Removes the tables of a version's explanation.
SELECT scoring.drop_explanation(%(version)s);

-- name: record_build
-- Note which dbt project was built last.
COMMENT ON SCHEMA features IS {digest};

-- name: record_pruning
-- The history states when a version's function was dropped, its state is kept; no revision creates it any more.
WITH revisions AS (
    UPDATE scoring.model_revisions
    SET creates_function = false
    WHERE creates_function AND %(version)s = CASE kind WHEN 'deploy_challenger' THEN challenger ELSE champion END
)

INSERT INTO scoring.model_state_changes (version, from_state, to_state, reason)
VALUES (%(version)s, %(state)s, %(state)s, 'function pruned');

-- name: recorded_build
-- Which dbt project was built last; no row before the first build.
SELECT obj_description(n.oid, 'pg_namespace')
FROM pg_namespace AS n
WHERE n.nspname = 'features' AND to_regclass('features.training_set') IS NOT NULL;

-- name: replay
-- The newest decisions of a version, scored again from their feature values.
SELECT
    count(*),
    count(*) FILTER (WHERE {differs})
FROM (
    SELECT feature_values, fraud_probability
    FROM public.transactions
    WHERE model_version = %(version)s
    ORDER BY scored_at DESC
    LIMIT %(limit)s
) AS t;

-- name: replay_shadow
-- The newest shadow scores of a version, computed again from their feature values.
SELECT
    count(*),
    count(*) FILTER (WHERE {differs})
FROM (
    SELECT
        coalesce(shadow_feature_values, feature_values) AS feature_values,
        shadow_probability
    FROM public.transactions
    WHERE shadow_version = %(version)s AND shadow_error IS NULL
    ORDER BY scored_at DESC
    LIMIT %(limit)s
) AS t;

-- name: request_attributes
-- The columns of a scoring request, in the order of the type.
SELECT a.attname, replace(format_type(a.atttypid, NULL), 'timestamp with time zone', 'timestamptz')
FROM pg_catalog.pg_attribute AS a
WHERE
    a.attrelid = (SELECT t.typrelid FROM pg_catalog.pg_type AS t WHERE t.oid = to_regtype('scoring.scoring_request'))
    AND a.attnum > 0
    AND NOT a.attisdropped
ORDER BY a.attnum;

-- name: sample_rows
-- A sample of the training window, chosen by a hash: one scan, and only the sample is transferred.
SELECT f.feature_values
FROM features.training_set AS f
WHERE
    f.occurred_at >= %(start)s
    AND f.occurred_at < %(until)s
    AND (hashint8(f.transaction_id) & 2147483647) < %(below)s::double precision
ORDER BY hashint8(f.transaction_id), f.user_id
LIMIT %(max_rows)s;

-- name: select_deployed
-- The version in this state: champion or challenger.
SELECT m.version
FROM scoring.models AS m
WHERE m.state = %(state)s;

-- name: select_gate_report
-- The newest evaluation of a version.
SELECT g.version, g.champion, g.evaluated_at, g.is_passed, g.is_forced, g.reasons, g.details
FROM scoring.gate_reports AS g
WHERE g.version = %(version)s
ORDER BY g.report_id DESC
LIMIT 1;

-- name: select_models
-- The registry, newest first, or one version.
SELECT {columns}
FROM scoring.models AS m
WHERE %(version)s::text IS NULL OR m.version = %(version)s
ORDER BY m.trained_at DESC, m.version DESC;

-- name: select_revisions
-- All applied model revisions, oldest first.
SELECT
    r.revision,
    lag(r.revision) OVER (ORDER BY r.position) AS parent,
    r.schema_revision, r.kind, r.champion, r.challenger, r.canary_percent, r.steps, r.note, r.creates_function
FROM scoring.model_revisions AS r
ORDER BY r.position;

-- name: select_version_by_sql
-- The version that has exactly this function body and these features, if it was registered before.
SELECT m.version
FROM scoring.models AS m
WHERE m.sql_sha256 = %(sql_sha256)s AND m.feature_hash = %(feature_hash)s;

-- name: table_columns
-- Columns of a table and their types.
SELECT a.attname, format_type(a.atttypid, NULL)
FROM pg_catalog.pg_attribute AS a
WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;

-- name: try_lock_job
-- The lock ends with its transaction, even behind a pooler. The transaction may be open and idle while dbt runs, and may
-- wait for another session: so the time limits of the server do not hold for it.
SELECT
    (
        SELECT count(set_config(s.name, '0', true))
        FROM pg_settings AS s
        WHERE s.name IN (
            'idle_in_transaction_session_timeout', 'lock_timeout', 'statement_timeout', 'transaction_timeout'
        )
    ) AS limits_lifted,
    CASE
        WHEN %(is_shared)s
            THEN pg_try_advisory_xact_lock_shared(scoring.job_lock_space(), scoring.job_lock_key(%(job)s))
        ELSE pg_try_advisory_xact_lock(scoring.job_lock_space(), scoring.job_lock_key(%(job)s))
    END AS is_locked;

-- name: users_with_pending_totals
-- Users with a row whose running totals are pending, in the order in which recompute_totals locks them.
SELECT DISTINCT
    t.user_id,
    scoring.user_lock_key(t.user_id) AS lock_key
FROM public.transactions AS t
WHERE t.user_txns_before IS NULL
ORDER BY lock_key, t.user_id;

-- name: trigger_text
-- The text of the trigger's function, which has the keys of the entities that it locks.
SELECT p.prosrc
FROM pg_catalog.pg_proc AS p
WHERE p.oid = 'scoring.score_on_insert()'::regprocedure;
