-- Every measure against its threshold (seeds/monitoring_thresholds.csv): one row per measure and subject.
SELECT
    m.measure,
    m.subject,
    m.value,
    m.row_count,
    t.alarm_at,
    m.row_count >= t.min_rows AS is_judged,
    coalesce(
        m.row_count >= t.min_rows
        AND CASE
            -- Too often is as bad as too seldom.
            WHEN m.measure = 'alert_rate_ratio' THEN m.value >= t.alarm_at OR m.value <= 1 / t.alarm_at
            WHEN m.measure IN ('precision_ratio', 'recall_ratio') THEN m.value <= t.alarm_at
            ELSE m.value >= t.alarm_at
        END,
        false
    ) AS is_alarm
FROM {{ ref('monitoring_measures') }} AS m
INNER JOIN LATERAL (
    SELECT
        s.alarm_at,
        s.min_rows
    FROM {{ ref('monitoring_thresholds') }} AS s
    WHERE s.measure = m.measure AND (s.subject = m.subject OR s.subject IS NULL)
    ORDER BY s.subject NULLS LAST
    LIMIT 1
) AS t ON true
