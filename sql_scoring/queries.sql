-- Named queries of this room, read by rowguard.queries.

-- name: facade_version
-- Which model answers callers now.
SELECT (scoring.score_basic(1, NULL, NULL, NULL)).model_version;

-- name: feature_function
-- Whether a feature function of a list is built.
SELECT to_regprocedure(
    format('features.%%s_%%s(bigint, numeric, bigint, text, timestamptz)', %(name)s::text, %(hash8)s::text)
) IS NOT NULL;

-- name: function_exists
-- Whether a version's scoring function is there: old ones are pruned.
SELECT to_regprocedure(%(function_name)s || '(real[])') IS NOT NULL;

-- name: has_registry
SELECT to_regclass('scoring.model_revisions') IS NOT NULL;

-- name: has_steps
-- Whether the schema has the columns for steps and challenger. Files are restored before the schema is brought to
-- its head, so an older one must be readable.
SELECT count(*) > 0
FROM pg_catalog.pg_attribute AS a
WHERE a.attrelid = to_regclass('scoring.model_revisions') AND a.attname = 'steps';

-- name: insert_gate_report
INSERT INTO scoring.gate_reports (version, champion, is_passed, is_forced, reasons, figures)
VALUES (%(version)s, %(champion)s, %(is_passed)s, %(is_forced)s, %(reasons)s, %(figures)s);

-- name: insert_model
-- Registers a candidate.
INSERT INTO scoring.models (
    version, state, model_kind, layout, function_name, feature_names, feature_hash, trained_at, train_from,
    train_to, label_cutoff, row_count, fraud_count, threshold, threshold_rule, metrics, tree_count, node_count,
    sql_text, sql_bytes, sql_sha256, artifact_sha256, library_versions, reference
)
VALUES (
    %(version)s, 'candidate', %(model_kind)s, %(layout)s, %(function_name)s, %(feature_names)s,
    %(feature_hash)s, %(trained_at)s, %(train_from)s, %(train_to)s, %(label_cutoff)s, %(row_count)s,
    %(fraud_count)s, %(threshold)s, %(threshold_rule)s, %(metrics)s, %(tree_count)s, %(node_count)s,
    %(sql_text)s, %(sql_bytes)s, %(sql_sha256)s, %(artifact_sha256)s, %(library_versions)s, %(reference)s
);

-- name: lock_deployments
-- One deployment at a time; the second waits for the first to commit.
SELECT pg_advisory_xact_lock(7266, 0);

-- name: lock_features
-- Waits for the run that has it; see try_lock_features.
SELECT pg_advisory_xact_lock(7266, 2);

-- name: missing_feature_functions
-- What the functions that callers know call of the features and is not built here.
SELECT DISTINCT
    p.proname AS caller,
    'features.' || m.called[1] AS called
FROM pg_catalog.pg_proc AS p
CROSS JOIN LATERAL regexp_matches(p.prosrc, 'features\.(\w+)\(', 'g') AS m (called)
WHERE
    p.pronamespace = to_regnamespace('scoring')
    AND p.proname IN ('decide_insert', 'score_candidate', 'score_basic', 'shadow_on_insert')
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_proc AS f
        WHERE f.pronamespace = to_regnamespace('features') AND f.proname = m.called[1]
    )
ORDER BY caller, called;

-- name: outdated_challenger
-- A challenger beside which the trigger lets nothing through, because the present form of what it calls and of the
-- second opinion comes with the next revision; and whether the second opinion that stands is its own.
SELECT
    m.version,
    m.canary_percent,
    (
        SELECT strpos(p.prosrc, quote_literal(m.version)) > 0
        FROM pg_catalog.pg_proc AS p
        WHERE p.oid = to_regproc('scoring.shadow_on_insert')
    ) AS has_second_opinion
FROM scoring.models AS m
WHERE
    m.state = 'challenger'
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_proc AS p
        WHERE
            p.oid = to_regproc('scoring.decide_insert')
            AND (strpos(p.prosrc, 'knows_last_row') > 0 OR strpos(p.prosrc, 'insert_feature_values') > 0)
    );

-- name: record_pruning
-- The history says when a version's function went; its state stays.
INSERT INTO scoring.model_state_changes (version, from_state, to_state, reason)
VALUES (%(version)s, %(state)s, %(state)s, 'function pruned');

-- name: replay
-- The newest decided rows of a version, scored again from what the model saw.
SELECT
    count(*),
    count(*) FILTER (WHERE {function_name}(t.feature_values) IS DISTINCT FROM t.fraud_probability)
FROM (
    SELECT feature_values, fraud_probability
    FROM public.transactions
    WHERE model_version = %(version)s
    ORDER BY scored_at DESC
    LIMIT %(limit)s
) AS t;

-- name: replay_shadow
-- The newest second opinions of a version, given again from what the model saw.
SELECT
    count(*),
    count(*) FILTER (WHERE {function_name}(t.feature_values) IS DISTINCT FROM t.shadow_probability)
FROM (
    SELECT
        coalesce(shadow_feature_values, feature_values) AS feature_values,
        shadow_probability
    FROM public.transactions
    WHERE shadow_version = %(version)s AND shadow_error IS NULL
    ORDER BY scored_at DESC
    LIMIT %(limit)s
) AS t;

-- name: sample_rows
-- About so many rows of a window, chosen by a hash: one scan, and only they travel.
SELECT f.feature_values
FROM features.training_set AS f
WHERE
    f.occurred_at >= %(start)s
    AND f.occurred_at < %(until)s
    AND (hashint8(f.transaction_id) & 2147483647) < %(below)s::double precision
ORDER BY hashint8(f.transaction_id), f.user_id
LIMIT %(most)s;

-- name: select_challenger
SELECT m.version
FROM scoring.models AS m
WHERE m.state = 'challenger';

-- name: select_champion
SELECT m.version
FROM scoring.models AS m
WHERE m.state = 'champion';

-- name: select_gate_report
-- The newest judgement of a version.
SELECT g.version, g.champion, g.judged_at, g.is_passed, g.is_forced, g.reasons, g.figures
FROM scoring.gate_reports AS g
WHERE g.version = %(version)s
ORDER BY g.report_id DESC
LIMIT 1;

-- name: select_models
-- The registry, newest first; one version only, with its function's long text, when it is given.
SELECT
    m.version, m.state, m.model_kind, m.layout, m.function_name, m.feature_names, m.feature_hash,
    m.trained_at, m.train_from, m.train_to, m.label_cutoff, m.row_count, m.fraud_count, m.threshold,
    m.threshold_rule, m.metrics, m.tree_count, m.node_count, m.sql_bytes, m.sql_sha256,
    CASE WHEN %(version)s::text IS NOT NULL THEN m.sql_text END AS sql_text,
    m.artifact_sha256, m.library_versions, m.state_reason, m.deployed_at, m.deployed_by, m.reference,
    m.canary_percent
FROM scoring.models AS m
WHERE %(version)s::text IS NULL OR m.version = %(version)s
ORDER BY m.trained_at DESC, m.version DESC;

-- name: select_old_revisions
-- The same in a database whose schema is older than the columns for steps and challenger.
SELECT r.revision, r.kind, r.champion, r.files, 1 AS steps, NULL::text AS challenger
FROM scoring.model_revisions AS r
ORDER BY r.position;

-- name: select_revisions
-- All applied model revisions, oldest first.
SELECT r.revision, r.kind, r.champion, r.files, r.steps, r.challenger
FROM scoring.model_revisions AS r
ORDER BY r.position;

-- name: select_version_by_sql
-- The version that has exactly this function body and these features, if it was registered before.
SELECT m.version
FROM scoring.models AS m
WHERE m.sql_sha256 = %(sql_sha256)s AND m.feature_hash = %(feature_hash)s;

-- name: settle_totals
SELECT scoring.settle_totals(%(user_ids)s::bigint[]);

-- name: try_lock_features
-- One run of the features at a time, whose lock ends with its transaction, even behind a pooler. The transaction
-- stands open and idle for as long as dbt runs, and may wait for another run.
SELECT
    (
        SELECT count(set_config(s.name, '0', true))
        FROM pg_settings AS s
        WHERE s.name IN (
            'idle_in_transaction_session_timeout', 'lock_timeout', 'statement_timeout', 'transaction_timeout'
        )
    ) AS limits_lifted,
    pg_try_advisory_xact_lock(7266, 2) AS is_locked;

-- name: untotalled_users
-- Users with a row whose running totals are not known, in the order in which settle_totals locks them.
SELECT DISTINCT
    t.user_id,
    hashint8(t.user_id) & 4095 AS bucket
FROM public.transactions AS t
WHERE t.user_txns_before IS NULL
ORDER BY bucket, t.user_id;

-- name: update_revision_files
UPDATE scoring.model_revisions
SET files = %(files)s
WHERE revision = %(revision)s;
