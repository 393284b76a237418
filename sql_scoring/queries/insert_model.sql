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
)
