SELECT
    t.transaction_id, t.user_id, t.amount, t.merchant_id, t.location, t.occurred_at, t.fraud_flag,
    t.fraud_probability, t.model_version, t.unscored_reason
FROM public.transactions AS t
WHERE t.user_id = %(user_id)s::bigint AND t.idempotency_key = %(idempotency_key)s::text
