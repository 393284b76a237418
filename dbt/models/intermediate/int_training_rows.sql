-- How each transaction gets into the training set: `is_logged` rows bring the values that the model saw, others are
-- computed. Retention leaves windows incomplete before its `complete_from`.
SELECT
    t.user_id,
    t.transaction_id,
    t.occurred_at,
    t.received_at,
    t.is_history,
    t.amount,
    t.merchant_id,
    t.location,
    t.feature_values,
    t.user_home_location,
    coalesce(t.scored_at = t.received_at, false) AS is_scored_live,
    m.version IS NOT NULL AS is_logged,
    t.occurred_at >= r.complete_from AS is_complete
FROM {{ ref('stg_transactions') }} AS t
LEFT JOIN {{ source('scoring', 'models') }} AS m
    ON t.model_version = m.version
    AND m.feature_hash = '{{ feature_hash() }}'
    AND NOT t.is_history
CROSS JOIN (
    SELECT coalesce(max(c.complete_from), '-infinity') AS complete_from
    FROM {{ source('scoring', 'retention_runs') }} AS c
) AS r
