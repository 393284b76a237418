EXPLAIN (FORMAT JSON)
SELECT count(*), sum(e.amount_units)
FROM features.stg_transactions AS e
WHERE e.user_id = 77 AND e.occurred_at > now() - interval '720 hours' AND e.occurred_at <= now()
