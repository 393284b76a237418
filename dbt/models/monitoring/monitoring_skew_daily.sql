-- Recomputed live rows of the current feature list whose values differ from what the model saw, by day.
SELECT
    r.event_date,
    r.model_version,
    count(*) AS compared_count,
    count(*) FILTER (WHERE f.has_window_skew) AS skewed_count
FROM {{ ref('monitoring_recomputed_features') }} AS f
INNER JOIN {{ ref('monitoring_transactions') }} AS r
    ON f.user_id = r.user_id AND f.transaction_id = r.transaction_id
GROUP BY r.event_date, r.model_version
