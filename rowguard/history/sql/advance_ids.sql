-- Ids that came with the file are used up: the sequence goes past them, and never back.
SELECT setval('public.transactions_transaction_id_seq', %(highest)s)
FROM public.transactions_transaction_id_seq AS s
WHERE s.last_value < %(highest)s
