SELECT
    m.version, m.model_kind, m.layout, m.trained_at, m.train_from, m.train_to, m.label_cutoff, m.row_count,
    m.fraud_count, m.threshold, m.threshold_rule, m.metrics, m.tree_count, m.node_count, m.feature_names,
    m.feature_hash, m.deployed_at
FROM public.model_versions AS m
WHERE m.state = 'champion'
