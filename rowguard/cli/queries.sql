-- Named queries of this room, read by rowguard.queries.

-- name: has_schema
-- Whether the database has rowguard's schema.
SELECT to_regclass('scoring.model_revisions') IS NOT NULL;

-- name: policy
SELECT s.failure_mode, s.lock_timeout_ms, s.changed_at, s.changed_by
FROM scoring.settings AS s;

-- name: score_transaction
SELECT s.fraud_probability, s.flag
FROM public.score_transaction(
    user_id => %(user_id)s::bigint,
    amount => %(amount)s::numeric,
    merchant_id => %(merchant_id)s::bigint,
    location => %(location)s::text,
    occurred_at => %(occurred_at)s::timestamptz
) AS s;

-- name: set_policy
SELECT scoring.set_failure_policy(%(on_failure)s::text, %(lock_timeout_ms)s::bigint);

-- name: unscored
SELECT u.user_id, u.transaction_id, u.occurred_at, u.amount, u.reason
FROM public.unscored_transactions AS u
ORDER BY u.received_at DESC, u.user_id, u.transaction_id
LIMIT %(most)s;

-- name: unscored_counts
-- How many rows a reason has; reasons that name a user are cut off before.
SELECT
    split_part(left(u.reason, 160), ' of user ', 1) AS reason,
    count(*) AS transactions,
    min(u.received_at) AS first_at,
    max(u.received_at) AS last_at
FROM public.unscored_transactions AS u
GROUP BY split_part(left(u.reason, 160), ' of user ', 1)
ORDER BY transactions DESC, reason;
