-- What counts as an event is said here, once, for training and for the trigger.
SELECT
    t.user_id,
    t.transaction_id,
    t.occurred_at,
    t.received_at,
    t.is_history::boolean AS is_history,
    t.amount,
    t.merchant_id,
    t.location,
    t.user_txns_before,
    t.user_amount_before,
    t.user_amount_squares_before,
    t.model_version,
    t.feature_values,
    (t.occurred_at AT TIME ZONE 'UTC')::date AS event_date,
    -- Loaded history counts as known when it happened.
    ((CASE WHEN t.is_history THEN t.occurred_at ELSE t.received_at END) AT TIME ZONE 'UTC')::date AS known_date
FROM {{ source('public', 'transactions') }} AS t
