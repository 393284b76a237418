-- The registry for users: one row per model version, newest first.
CREATE VIEW public.model_versions AS
SELECT
    m.version,
    m.state,
    m.state_reason,
    m.model_kind,
    m.layout,
    m.trained_at,
    m.train_from,
    m.train_to,
    m.label_cutoff,
    m.row_count,
    m.fraud_count,
    m.threshold,
    m.threshold_rule,
    m.metrics,
    m.tree_count,
    m.node_count,
    m.sql_bytes,
    m.sql_sha256,
    m.artifact_sha256,
    m.feature_names,
    m.feature_hash,
    m.library_versions,
    m.deployed_at,
    m.deployed_by,
    m.canary_percent,
    m.margin_cut
FROM scoring.models AS m
ORDER BY m.trained_at DESC, m.version DESC;
