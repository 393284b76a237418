-- A retry finds what the first attempt stored: no row comes back when the key was used before.
INSERT INTO public.transactions (user_id, amount, merchant_id, location, occurred_at, idempotency_key)
VALUES (
    %(user_id)s::bigint,
    %(amount)s::numeric,
    %(merchant_id)s::bigint,
    %(location)s::text,
    %(occurred_at)s::timestamptz,
    %(key)s::text
)
ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING transaction_id, fraud_probability, model_version, unscored_reason
