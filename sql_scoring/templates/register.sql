INSERT INTO scoring.models (
    version, state, model_kind, layout, function_name, feature_names, feature_hash, trained_at, train_from,
    train_to, label_cutoff, row_count, fraud_count, threshold, threshold_rule, metrics, tree_count, node_count,
    sql_bytes, sql_sha256, artifact_sha256, library_versions, reference
)
VALUES (
    {version_literal}, 'candidate', {model_kind}, {layout}, {function_literal}, {feature_names}, {feature_hash},
    {trained_at}, {train_from}, {train_to}, {label_cutoff}, {row_count}, {fraud_count}, {threshold},
    {threshold_rule}, {metrics}, {tree_count}, {node_count}, {sql_bytes}, {sql_sha256}, {artifact_sha256},
    {library_versions}, {reference}
)
ON CONFLICT (version) DO NOTHING;
