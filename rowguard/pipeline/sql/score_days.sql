SELECT
    d.event_day, d.model_version, d.row_count, d.alerts, d.alert_rate, d.let_through, d.unscored,
    d.second_opinions, d.second_opinion_errors, d.score_quantiles
FROM features.monitoring_score_days AS d
ORDER BY d.event_day, d.model_version
