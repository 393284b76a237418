-- Every metric of the last 7 days that has a threshold, about the champion. `row_count` is what it rests on.
WITH champion AS MATERIALIZED (
    SELECT m.version, m.metrics, m.trained_at
    FROM {{ source('scoring', 'models') }} AS m
    WHERE m.state = 'champion'
),

decided AS MATERIALIZED (
    SELECT
        sum(d.row_count) AS row_count,
        sum(d.unscored) AS unscored,
        sum(d.caveat_count) AS caveats,
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
),

skew AS MATERIALIZED (
    SELECT
        sum(s.compared_count) AS compared_count,
        sum(s.skewed_count) AS skewed_count
    FROM {{ ref('monitoring_skew_daily') }} AS s
    WHERE s.event_date > (now() AT TIME ZONE 'UTC')::date - 7
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
    r.metric,
    r.subject,
    r.part::double precision / r.whole / nullif(r.trained, 0) AS value,
    r.whole::bigint AS row_count
FROM champion AS c
CROSS JOIN decided AS d
CROSS JOIN outcomes AS o
CROSS JOIN skew AS s
CROSS JOIN LATERAL (
    VALUES
    ('alert_rate_ratio', c.version, d.own_alerts, d.own_rows, (c.metrics ->> 'alert_rate')::double precision),
    ('unscored_rate', 'all rows', d.unscored, d.row_count, 1),
    ('features_caveat_rate', 'all rows', d.caveats, d.row_count, 1),
    ('shadow_error_rate', 'all shadow scores', d.errors, d.shadow_count, 1),
    ('skew_rate', 'live against training', s.skewed_count, s.compared_count, 1),
    ('precision_ratio', c.version, o.true_positives, o.alerts, (c.metrics ->> 'precision')::double precision),
    ('recall_ratio', c.version, o.true_positives, o.frauds, (c.metrics ->> 'recall')::double precision)
) AS r (metric, subject, part, whole, trained)
WHERE r.whole > 0
UNION ALL
SELECT
    'champion_age_days' AS metric,
    c.version AS subject,
    date_part('epoch', now() - c.trained_at) / 86400 AS value,
    0::bigint AS row_count
FROM champion AS c
