-- Named queries of this room, read by rowguard.queries.

-- name: database_state
-- Whether there are transactions, and unscored ones.
SELECT
    exists(SELECT FROM public.transactions) AS has_transactions,
    exists(SELECT FROM public.unscored_transactions) AS has_unscored;

-- name: failure_policy
-- The current policy.
SELECT s.failure_mode, s.lock_timeout_ms, s.changed_at, s.changed_by
FROM scoring.settings AS s;

-- name: score_transaction
-- The score that an INSERT of the demo's values would get.
SELECT s.fraud_probability, s.flag
FROM public.score_transaction(
    user_id => %(user_id)s::bigint /* key type */,
    amount => %(amount)s::numeric,
    /* for each column: {name} => %({name})s::{type}, */
    occurred_at => %(occurred_at)s::timestamptz
) AS s;

-- name: set_failure_policy
-- NULL keeps the current value.
SELECT scoring.set_failure_policy(%(failure_mode)s::text, %(lock_timeout_ms)s::bigint);

-- name: unscored
-- The newest unscored transactions.
SELECT u.user_id, u.transaction_id, u.occurred_at, u.amount, u.reason
FROM public.unscored_transactions AS u
ORDER BY u.received_at DESC, u.user_id, u.transaction_id
LIMIT %(limit)s;

-- name: unscored_counts
-- Unscored transactions per reason, without the user that a reason may name.
SELECT
    split_part(left(u.reason, 160), ' of user ', 1) AS reason,
    count(*) AS transactions,
    min(u.received_at) AS first_at,
    max(u.received_at) AS last_at
FROM public.unscored_transactions AS u
GROUP BY split_part(left(u.reason, 160), ' of user ', 1)
ORDER BY transactions DESC, reason;
