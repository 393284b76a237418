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
ORDER BY m.trained_at DESC, m.version DESC
