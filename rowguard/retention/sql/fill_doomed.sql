-- Oldest first: as a user's oldest rows go, the running totals of what stays remain right.
INSERT INTO doomed (number, user_id, transaction_id)
SELECT row_number() OVER (ORDER BY t.occurred_at, t.user_id, t.transaction_id), t.user_id, t.transaction_id
FROM public.transactions AS t
WHERE t.occurred_at < %(cut)s
