-- Ids that came with the file are used up: the sequence goes past them.
SELECT setval(
    'public.transactions_transaction_id_seq',
    greatest(%(highest)s, (SELECT last_value FROM public.transactions_transaction_id_seq))
)
