-- Running totals of the rows that were put in, a few users at a time.
SELECT scoring.settle_totals(array_agg(g))
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS g
