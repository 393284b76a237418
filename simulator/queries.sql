-- Named queries of this room, read by rowguard.queries.

-- name: insert_transaction
-- Insert a transaction; without a time the database sets it.
INSERT INTO public.transactions (user_id, amount, merchant_id, location, occurred_at)
VALUES (%(user_id)s, %(amount)s, %(merchant_id)s, %(location)s, %(occurred_at)s)
RETURNING transaction_id, fraud_flag, fraud_probability;

-- name: has_real_rows
-- Whether there are transactions without a label of the simulator: loaded ones, or live ones beyond a few that were
-- inserted by hand into a simulated history.
SELECT
    coalesce(bool_or(t.is_history), false)
    OR count(*) > 0.01 * (SELECT count(*) FROM public.fraud_labels AS s WHERE s.source = 'simulator')
FROM public.transactions AS t
LEFT JOIN public.fraud_labels AS l
    ON t.user_id = l.user_id AND t.transaction_id = l.transaction_id AND l.source = 'simulator'
WHERE l.user_id IS NULL;

-- name: count_live_rows
-- Simulated rows that were inserted live.
SELECT count(*)
FROM public.transactions AS t
WHERE
    NOT t.is_history
    AND EXISTS (
        SELECT FROM public.fraud_labels AS l
        WHERE l.user_id = t.user_id AND l.transaction_id = t.transaction_id AND l.source = 'simulator'
    );

-- name: mark_live_rows
-- Label live rows with the truth, which is known a label delay after each.
INSERT INTO public.fraud_labels (user_id, transaction_id, is_fraud, labelled_at, source)
SELECT t.user_id, t.transaction_id, r.is_fraud, t.occurred_at + %(label_delay)s, %(source)s
FROM
    unnest(%(user_ids)s::bigint[], %(transaction_ids)s::bigint[], %(is_fraud)s::boolean[])
        AS r (user_id, transaction_id, is_fraud)
INNER JOIN public.transactions AS t ON r.user_id = t.user_id AND r.transaction_id = t.transaction_id;

-- name: create_simulated_users
-- Users with simulated transactions, for delete_simulated_users.
CREATE TEMP TABLE simulated_users AS
SELECT DISTINCT l.user_id
FROM public.fraud_labels AS l
WHERE l.source = 'simulator';

-- name: delete_simulated_rows
-- Delete some simulated transactions; their labels follow the foreign key.
DELETE FROM public.transactions AS t
USING (
    SELECT DISTINCT l.user_id, l.transaction_id
    FROM public.fraud_labels AS l
    WHERE l.source = 'simulator'
    ORDER BY l.user_id, l.transaction_id
    LIMIT %(rows)s
) AS s
WHERE t.user_id = s.user_id AND t.transaction_id = s.transaction_id;

-- name: delete_simulated_users
-- Delete the profiles of users who have no transaction left.
DELETE FROM public.users AS u
USING simulated_users AS s
WHERE
    u.user_id = s.user_id
    AND NOT EXISTS (SELECT FROM public.transactions AS t WHERE t.user_id = u.user_id);
