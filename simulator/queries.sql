-- Named queries of this room, read by rowguard.queries.

-- name: insert_transaction
-- Insert a transaction; without a time the database sets it.
INSERT INTO public.transactions (user_id, amount, /* for each column: {name}, */ occurred_at)
VALUES (%(user_id)s, %(amount)s, /* for each column: %({name})s, */ %(occurred_at)s)
RETURNING transaction_id, fraud_flag, fraud_probability;

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
    unnest(%(user_ids)s::bigint /* key type */[], %(transaction_ids)s::bigint[], %(is_fraud)s::boolean[])
        AS r (user_id, transaction_id, is_fraud)
INNER JOIN public.transactions AS t ON r.user_id = t.user_id AND r.transaction_id = t.transaction_id;
