-- Fresh transaction ids, none of which a concurrent INSERT can get.
SELECT nextval('public.transactions_transaction_id_seq')
FROM generate_series(1, %(count)s)
