SELECT t.transaction_id, t.fraud_probability, t.model_version, t.unscored_reason
FROM public.transactions AS t
WHERE t.user_id = %(user_id)s::bigint AND t.idempotency_key = %(key)s::text
