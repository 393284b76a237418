-- Lost: acknowledged, and no row. Doubled: more than one row of a key. Changed: the row says something else than
-- the client was told. Several answers to one key must be the same.
SELECT
    count(*) FILTER (WHERE t.user_id IS NULL) AS lost,
    (
        SELECT coalesce(sum(d.extra), 0)
        FROM (
            SELECT count(*) - 1 AS extra
            FROM public.transactions
            WHERE starts_with(idempotency_key, %(run)s)
            GROUP BY user_id, idempotency_key
        ) AS d
    )::bigint AS doubled,
    count(*) FILTER (
        WHERE t.user_id IS NOT NULL
        AND (t.transaction_id, t.fraud_probability, t.model_version, t.unscored_reason)
        IS DISTINCT FROM (a.transaction_id, a.fraud_probability, a.model_version, a.unscored_reason)
    ) AS changed,
    (
        SELECT count(*) FROM public.transactions AS s
        WHERE starts_with(s.idempotency_key, %(run)s)
    ) AS stored
FROM acknowledged AS a
LEFT JOIN public.transactions AS t ON a.user_id = t.user_id AND a.idempotency_key = t.idempotency_key
