-- What was decided, by day and version; rows without a decision have no version.
SELECT
    r.event_date,
    r.model_version,
    count(*) AS row_count,
    count(*) FILTER (WHERE r.is_alert) AS alerts,
    count(*) FILTER (WHERE r.is_alert)::double precision / count(*) AS alert_rate,
    count(*) FILTER (WHERE r.is_control) AS control_count,
    count(*) FILTER (WHERE r.unscored_reason IS NOT NULL) AS unscored,
    count(r.features_caveat) AS caveat_count,
    count(r.shadow_version) AS shadow_count,
    count(r.shadow_error) AS shadow_error_count,
    avg(r.fraud_probability) AS score_mean,
    percentile_cont(ARRAY[0.5, 0.9, 0.99]) WITHIN GROUP (ORDER BY r.fraud_probability) AS score_quantiles
FROM {{ ref('monitoring_transactions') }} AS r
GROUP BY r.event_date, r.model_version
