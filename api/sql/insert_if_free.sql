-- insert_transactions for one row, which is cheaper: nothing comes back when the user is busy or the key was used.
INSERT INTO public.transactions (user_id, amount, merchant_id, location, occurred_at, idempotency_key)
SELECT
    %(user_id)s::bigint,
    %(amount)s::numeric,
    %(merchant_id)s::bigint,
    %(location)s::text,
    %(occurred_at)s::timestamptz,
    %(idempotency_key)s::text
WHERE pg_try_advisory_xact_lock(7265, hashint8(%(user_id)s::bigint) & 4095)
ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING
    transaction_id, user_id, amount, merchant_id, location, occurred_at, idempotency_key, fraud_flag,
    fraud_probability, model_version, unscored_reason
