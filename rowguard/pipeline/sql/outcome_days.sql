SELECT
    o.event_day, o.model_version, o.is_mature, o.row_count, o.frauds, o.alerts, o.caught, o.precision, o.recall
FROM features.monitoring_outcome_days AS o
ORDER BY o.event_day, o.model_version
