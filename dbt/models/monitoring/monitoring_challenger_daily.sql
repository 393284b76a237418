-- Champion and challenger on the same rows, by day and pair; labels as far as they are known. `first_version` is the
-- one of the pair that was deployed earlier: the champion during the shadow deployment.
WITH pairs AS (
    SELECT
        r.event_date,
        r.known_fraud,
        r.is_mature,
        r.shadow_error,
        a.version AS first_version,
        b.version AS second_version,
        r.model_version = b.version AS is_decided_by_second,
        CASE WHEN r.model_version = a.version THEN r.fraud_probability ELSE r.shadow_probability END AS first_score,
        CASE WHEN r.model_version = b.version THEN r.fraud_probability ELSE r.shadow_probability END AS second_score,
        a.threshold AS first_threshold,
        b.threshold AS second_threshold
    FROM {{ ref('monitoring_transactions') }} AS r
    INNER JOIN {{ source('scoring', 'models') }} AS a
        ON a.version IN (r.model_version, r.shadow_version)
    INNER JOIN {{ source('scoring', 'models') }} AS b
        ON b.version IN (r.model_version, r.shadow_version)
        AND (a.deployed_at, a.version) < (b.deployed_at, b.version)
    WHERE r.shadow_version IS NOT NULL
)

SELECT
    p.event_date,
    p.first_version,
    p.second_version,
    count(*) AS row_count,
    count(*) FILTER (WHERE p.is_decided_by_second) AS decided_by_second,
    count(p.shadow_error) AS error_count,
    count(*) FILTER (WHERE p.first_score >= p.first_threshold) AS first_alerts,
    count(*) FILTER (WHERE p.second_score >= p.second_threshold) AS second_alerts,
    count(*) FILTER (
        WHERE (p.first_score >= p.first_threshold) IS DISTINCT FROM (p.second_score >= p.second_threshold)
    ) AS disagreements,
    avg(abs(p.first_score - p.second_score)) AS mean_difference,
    bool_and(p.is_mature) AS is_mature,
    count(p.known_fraud) AS labeled_count,
    count(*) FILTER (WHERE p.known_fraud) AS frauds,
    count(*) FILTER (WHERE p.known_fraud AND p.first_score >= p.first_threshold) AS first_true_positives,
    count(*) FILTER (WHERE p.known_fraud AND p.second_score >= p.second_threshold) AS second_true_positives
FROM pairs AS p
GROUP BY p.event_date, p.first_version, p.second_version
