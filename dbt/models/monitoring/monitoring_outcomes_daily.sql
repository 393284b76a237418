-- How right the decisions were, by day and version, as far as is known: of days that are not mature yet only labeled
-- rows count, and those are the frauds and the complaints first.
SELECT
    r.event_date,
    r.model_version,
    bool_and(r.is_mature) AS is_mature,
    count(*) AS row_count,
    count(r.known_fraud) AS labeled_count,
    count(*) FILTER (WHERE r.known_fraud) AS frauds,
    count(*) FILTER (WHERE r.is_alert) AS alerts,
    count(*) FILTER (WHERE r.is_alert AND r.known_fraud) AS true_positives,
    count(*) FILTER (WHERE r.is_alert AND r.known_fraud)::double precision
    / nullif(count(*) FILTER (WHERE r.is_alert), 0) AS precision,
    count(*) FILTER (WHERE r.is_alert AND r.known_fraud)::double precision
    / nullif(count(*) FILTER (WHERE r.known_fraud), 0) AS recall
FROM {{ ref('monitoring_transactions') }} AS r
WHERE r.model_version IS NOT NULL AND (r.is_mature OR r.known_fraud IS NOT NULL)
GROUP BY r.event_date, r.model_version
