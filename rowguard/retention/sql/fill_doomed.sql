INSERT INTO doomed (number, user_id, transaction_id)
SELECT row_number() OVER (ORDER BY t.user_id, t.transaction_id), t.user_id, t.transaction_id
FROM public.transactions AS t
WHERE t.occurred_at < %(cut)s
