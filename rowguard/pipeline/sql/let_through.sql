-- The share that counts now, and what it did in the last 30 days.
SELECT
    coalesce(
        (SELECT s.share FROM scoring.let_through_shares AS s ORDER BY s.valid_from DESC LIMIT 1), 0
    ) AS share,
    count(*) FILTER (WHERE t.fraud_flag = 'FRAUD' OR t.is_let_through) AS alerts,
    count(*) FILTER (WHERE t.is_let_through) AS let_through
FROM public.transactions AS t
WHERE t.received_at >= now() - interval '30 days' AND NOT t.is_history
