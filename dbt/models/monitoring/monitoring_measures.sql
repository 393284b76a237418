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
        sum(d.second_opinions) AS second_opinions,
        sum(d.second_opinion_errors) AS errors,
        sum(d.row_count) FILTER (WHERE d.model_version = c.version) AS own_rows,
        sum(d.alerts) FILTER (WHERE d.model_version = c.version) AS own_alerts
    FROM champion AS c
    CROSS JOIN {{ ref('monitoring_score_days') }} AS d
    WHERE d.event_day > (now() AT TIME ZONE 'UTC')::date - 7
),

outcomes AS MATERIALIZED (
    SELECT
        sum(o.alerts) AS alerts,
        sum(o.frauds) AS frauds,
        sum(o.caught) AS caught
    FROM champion AS c
    INNER JOIN {{ ref('monitoring_outcome_days') }} AS o ON c.version = o.model_version
    WHERE o.is_mature
)

SELECT
    CASE WHEN d.name = 'score' THEN 'score_psi' ELSE 'feature_psi' END AS measure,
    d.name AS subject,
    d.psi AS value,
    d.row_count::bigint AS row_count
FROM champion AS c
INNER JOIN {{ ref('monitoring_drift') }} AS d ON c.version = d.model_version
UNION ALL
SELECT
    'alert_rate_ratio' AS measure,
    c.version AS subject,
    (d.own_alerts::double precision / d.own_rows) / nullif((c.metrics ->> 'alert_rate')::double precision, 0) AS value,
    d.own_rows::bigint AS row_count
FROM champion AS c
CROSS JOIN decided AS d
WHERE d.own_rows > 0
UNION ALL
SELECT
    'unscored_share' AS measure,
    'all rows' AS subject,
    d.unscored::double precision / d.row_count AS value,
    d.row_count::bigint AS row_count
FROM decided AS d
WHERE d.row_count > 0
UNION ALL
SELECT
    'second_opinion_error_share' AS measure,
    'all second opinions' AS subject,
    d.errors::double precision / d.second_opinions AS value,
    d.second_opinions::bigint AS row_count
FROM decided AS d
WHERE d.second_opinions > 0
UNION ALL
SELECT
    'skewed_share' AS measure,
    'live against training' AS subject,
    sum(s.skewed)::double precision / sum(s.compared) AS value,
    sum(s.compared)::bigint AS row_count
FROM {{ ref('monitoring_skew_days') }} AS s
WHERE s.event_day > (now() AT TIME ZONE 'UTC')::date - 7
HAVING sum(s.compared) > 0
UNION ALL
SELECT
    'precision_ratio' AS measure,
    c.version AS subject,
    (o.caught::double precision / o.alerts) / nullif((c.metrics ->> 'precision')::double precision, 0) AS value,
    o.alerts::bigint AS row_count
FROM champion AS c
CROSS JOIN outcomes AS o
WHERE o.alerts > 0
UNION ALL
SELECT
    'recall_ratio' AS measure,
    c.version AS subject,
    (o.caught::double precision / o.frauds) / nullif((c.metrics ->> 'recall')::double precision, 0) AS value,
    o.frauds::bigint AS row_count
FROM champion AS c
CROSS JOIN outcomes AS o
WHERE o.frauds > 0
UNION ALL
SELECT
    'champion_age_days' AS measure,
    c.version AS subject,
    extract(epoch FROM now() - c.trained_at)::double precision / 86400 AS value,
    0::bigint AS row_count
FROM champion AS c
