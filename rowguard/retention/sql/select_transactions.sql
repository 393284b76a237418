SELECT
    t.user_id, t.transaction_id, t.occurred_at, t.received_at, t.is_history, t.amount::text, t.merchant_id,
    t.location, t.idempotency_key, t.fraud_flag, t.fraud_probability, t.model_version, t.scored_at,
    t.feature_values, t.unscored_reason
FROM public.transactions AS t
INNER JOIN doomed AS d ON t.user_id = d.user_id AND t.transaction_id = d.transaction_id
ORDER BY d.number
