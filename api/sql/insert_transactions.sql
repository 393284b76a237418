-- Stores the rows whose user's lock is free, and waits for no lock, so that no caller waits for another's user. A row
-- that does not come back found its user busy or its key used: the caller sees to it by itself.
-- The locks are those that the trigger takes (scoring.score_on_insert). Each is tried once, so that of a user either
-- every row is stored, in the order given here, or none.
WITH asked AS MATERIALIZED (
    SELECT
        q.user_id,
        q.amount,
        q.merchant_id,
        q.location,
        q.occurred_at,
        q.idempotency_key,
        q.place,
        hashint8(q.user_id) & 4095 AS bucket
    FROM
        json_to_recordset(%(rows)s::json) AS q (
            user_id bigint,
            amount numeric,
            merchant_id bigint,
            location text,
            occurred_at timestamptz,
            idempotency_key text,
            place integer
        )
),

locks AS MATERIALIZED (
    SELECT
        b.bucket,
        pg_try_advisory_xact_lock(7265, b.bucket) AS is_ours
    FROM (SELECT DISTINCT a.bucket FROM asked AS a) AS b
)

INSERT INTO public.transactions (user_id, amount, merchant_id, location, occurred_at, idempotency_key)
SELECT
    a.user_id,
    a.amount,
    a.merchant_id,
    a.location,
    a.occurred_at,
    a.idempotency_key
FROM asked AS a
INNER JOIN locks AS l ON a.bucket = l.bucket
WHERE l.is_ours
ORDER BY a.place
ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING
    transaction_id, user_id, amount, merchant_id, location, occurred_at, idempotency_key, fraud_flag,
    fraud_probability, model_version, unscored_reason
