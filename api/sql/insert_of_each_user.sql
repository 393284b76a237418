-- insert_transactions where every row is of another user, which is cheaper to plan: no lock is tried twice for a
-- user, so none of them can have some of its rows stored and others not.
INSERT INTO public.transactions (user_id, amount, merchant_id, location, occurred_at, idempotency_key)
SELECT
    q.user_id,
    q.amount,
    q.merchant_id,
    q.location,
    q.occurred_at,
    q.idempotency_key
FROM
    json_to_recordset(%(rows)s::json) AS q (
        user_id bigint,
        amount numeric,
        merchant_id bigint,
        location text,
        occurred_at timestamptz,
        idempotency_key text
    )
WHERE pg_try_advisory_xact_lock(7265, hashint8(q.user_id) & 4095)
ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING
    transaction_id, user_id, amount, merchant_id, location, occurred_at, idempotency_key, fraud_flag,
    fraud_probability, model_version, unscored_reason
