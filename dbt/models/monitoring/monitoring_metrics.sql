-- Every measure of the last 7 days that has a threshold, about the champion. `row_count` is what it rests on.
WITH champion AS MATERIALIZED (
    SELECT
        m.version,
        m.metrics,
        m.trained_at
    FROM {{ source('scoring', 'models') }} AS m
    WHERE m.state = 'champion'
),

decided AS MATERIALIZED (
    SELECT
        sum(d.row_count) AS row_count,
        sum(d.unscored) AS unscored,
        sum(d.shadow_count) AS shadow_count,
        sum(d.shadow_error_count) AS errors,
        sum(d.row_count) FILTER (WHERE d.model_version = c.version) AS own_rows,
        sum(d.alerts) FILTER (WHERE d.model_version = c.version) AS own_alerts
    FROM champion AS c
    CROSS JOIN {{ ref('monitoring_scores_daily') }} AS d
    WHERE d.event_date > (now() AT TIME ZONE 'UTC')::date - 7
),

outcomes AS MATERIALIZED (
    SELECT
        sum(o.alerts) AS alerts,
        sum(o.frauds) AS frauds,
        sum(o.true_positives) AS true_positives
    FROM champion AS c
    INNER JOIN {{ ref('monitoring_outcomes_daily') }} AS o ON c.version = o.model_version
    WHERE o.is_mature
)

SELECT
    CASE WHEN d.name = 'score' THEN 'score_psi' ELSE 'feature_psi' END AS metric,
    d.name AS subject,
    d.psi AS value,
    d.row_count::bigint AS row_count
FROM champion AS c
INNER JOIN {{ ref('monitoring_drift') }} AS d ON c.version = d.model_version
UNION ALL
SELECT
    'alert_rate_ratio' AS metric,
    c.version AS subject,
    (d.own_alerts::double precision / d.own_rows)
    / nullif((c.metrics ->> 'alert_rate')::double precision, 0) AS value,
    d.own_rows::bigint AS row_count
FROM champion AS c
CROSS JOIN decided AS d
WHERE d.own_rows > 0
UNION ALL
SELECT
    'unscored_rate' AS metric,
    'all rows' AS subject,
    d.unscored::double precision / d.row_count AS value,
    d.row_count::bigint AS row_count
FROM decided AS d
WHERE d.row_count > 0
UNION ALL
SELECT
    'shadow_error_rate' AS metric,
    'all shadow scores' AS subject,
    d.errors::double precision / d.shadow_count AS value,
    d.shadow_count::bigint AS row_count
FROM decided AS d
WHERE d.shadow_count > 0
UNION ALL
SELECT
    'skew_rate' AS metric,
    'live against training' AS subject,
    sum(s.skewed_count)::double precision / sum(s.compared_count) AS value,
    sum(s.compared_count)::bigint AS row_count
FROM {{ ref('monitoring_skew_daily') }} AS s
WHERE s.event_date > (now() AT TIME ZONE 'UTC')::date - 7
HAVING sum(s.compared_count) > 0
UNION ALL
SELECT
    'precision_ratio' AS metric,
    c.version AS subject,
    (o.true_positives::double precision / o.alerts)
    / nullif((c.metrics ->> 'precision')::double precision, 0) AS value,
    o.alerts::bigint AS row_count
FROM champion AS c
CROSS JOIN outcomes AS o
WHERE o.alerts > 0
UNION ALL
SELECT
    'recall_ratio' AS metric,
    c.version AS subject,
    (o.true_positives::double precision / o.frauds) / nullif((c.metrics ->> 'recall')::double precision, 0) AS value,
    o.frauds::bigint AS row_count
FROM champion AS c
CROSS JOIN outcomes AS o
WHERE o.frauds > 0
UNION ALL
SELECT
    'champion_age_days' AS metric,
    c.version AS subject,
    date_part('epoch', now() - c.trained_at) / 86400 AS value,
    0::bigint AS row_count
FROM champion AS c
