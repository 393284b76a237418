DELETE FROM public.transactions AS t
USING doomed AS d
WHERE
    d.number BETWEEN %(first)s AND %(last)s
    AND t.user_id = d.user_id
    AND t.transaction_id = d.transaction_id
