-- Every metric against its threshold (seeds/monitoring_thresholds.csv): one row per metric and subject.
SELECT
    m.metric,
    m.subject,
    m.value,
    m.row_count,
    t.alarm_threshold,
    t.min_rows,
    m.row_count >= t.min_rows AS has_enough_rows,
    coalesce(
        m.row_count >= t.min_rows
        AND CASE
            -- Too often is as bad as too seldom.
            WHEN m.metric = 'alert_rate_ratio' THEN m.value >= t.alarm_threshold OR m.value <= 1 / t.alarm_threshold
            WHEN m.metric IN ('precision_ratio', 'recall_ratio') THEN m.value <= t.alarm_threshold
            ELSE m.value >= t.alarm_threshold
        END,
        false
    ) AS is_alarm
FROM {{ ref('monitoring_metrics') }} AS m
INNER JOIN LATERAL (
    SELECT s.alarm_threshold, s.min_rows
    FROM {{ ref('monitoring_thresholds') }} AS s
    WHERE s.metric = m.metric AND (s.subject = m.subject OR s.subject IS NULL)
    ORDER BY s.subject NULLS LAST
    LIMIT 1
) AS t ON true
