SELECT u.user_id, u.transaction_id, u.occurred_at, u.amount, u.reason
FROM public.unscored_transactions AS u
ORDER BY u.received_at DESC, u.user_id, u.transaction_id
LIMIT %(most)s
