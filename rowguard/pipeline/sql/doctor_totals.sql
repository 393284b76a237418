-- Whether each user's running totals go on from row to row. Users with a row without totals are left out: their
-- features are read row by row until the totals are reckoned anew. The first row may have any: older ones may have
-- been deleted.
WITH steps AS (
    SELECT
        t.user_id,
        t.user_txns_before AS txns,
        t.user_amount_before AS amount,
        t.user_amount_squares_before AS squares,
        lag(t.user_txns_before) OVER of_user AS txns_before,
        lag(t.user_amount_before) OVER of_user AS amount_before,
        lag(t.user_amount_squares_before) OVER of_user AS squares_before,
        lag(t.amount) OVER of_user AS last_amount
    FROM public.transactions AS t
    WHERE t.user_id NOT IN (SELECT n.user_id FROM public.transactions AS n WHERE n.user_txns_before IS NULL)
    WINDOW of_user AS (PARTITION BY t.user_id ORDER BY t.occurred_at, t.user_txns_before)
)

SELECT
    count(*) AS rows_checked,
    count(*) FILTER (WHERE s.is_broken) AS rows_broken,
    count(DISTINCT s.user_id) FILTER (WHERE s.is_broken) AS users_broken,
    (array_agg(DISTINCT s.user_id) FILTER (WHERE s.is_broken))[:5] AS broken_users,
    (SELECT count(*) FROM public.transactions AS t WHERE t.user_txns_before IS NULL) AS rows_without_totals,
    (
        SELECT count(DISTINCT t.user_id) FROM public.transactions AS t WHERE t.user_txns_before IS NULL
    ) AS users_without_totals
FROM (
    SELECT
        p.user_id,
        p.txns_before IS NOT NULL
        AND (
            p.txns IS DISTINCT FROM p.txns_before + 1
            OR p.amount IS DISTINCT FROM p.amount_before + p.last_amount
            OR p.squares IS DISTINCT FROM p.squares_before + p.last_amount * p.last_amount
        ) AS is_broken
    FROM steps AS p
) AS s
