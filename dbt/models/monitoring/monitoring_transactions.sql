-- The rows that were inserted live in the last 35 days, with their latest label.
SELECT
    t.user_id,
    t.transaction_id,
    (t.occurred_at AT TIME ZONE 'UTC')::date AS event_date,
    t.model_version,
    t.fraud_probability,
    coalesce(t.fraud_flag = 'FRAUD' OR t.is_control, false) AS is_alert,
    t.is_control,
    t.unscored_reason,
    t.features_caveat,
    t.feature_values,
    t.shadow_version,
    t.shadow_probability,
    t.shadow_error,
    known.is_fraud AS known_fraud,
    -- Once the label delay is over, what was not reported was legitimate.
    t.occurred_at < now() - interval '{{ var("label_delay_days") | int }} days' AS is_mature
FROM {{ source('public', 'transactions') }} AS t
LEFT JOIN LATERAL (
    SELECT l.is_fraud
    FROM {{ ref('stg_labels') }} AS l
    WHERE l.user_id = t.user_id AND l.transaction_id = t.transaction_id AND l.labelled_at <= now()
    ORDER BY l.labelled_at DESC, l.label_id DESC
    LIMIT 1
) AS known ON true
WHERE NOT t.is_history
    AND t.received_at >= now() - interval '35 days'
