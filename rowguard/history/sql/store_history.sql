-- The staged rows in order of time, with running totals where they go on from the user's last row (or are the user's
-- first). Where they lie between rows that are stored already, they get none: settle_totals reckons those anew.
WITH staged_users AS (
    SELECT
        s.user_id,
        min(s.occurred_at) AS first_at
    FROM history_stage AS s
    GROUP BY s.user_id
),

starts AS (
    SELECT
        u.user_id,
        last_row.user_id IS NULL OR last_row.occurred_at <= u.first_at AS goes_on,
        CASE WHEN last_row.user_id IS NULL THEN 0 ELSE last_row.user_txns_before + 1 END AS txns,
        CASE WHEN last_row.user_id IS NULL THEN 0 ELSE last_row.user_amount_before + last_row.amount END AS amount,
        CASE
            WHEN last_row.user_id IS NULL THEN 0
            ELSE last_row.user_amount_squares_before + last_row.amount * last_row.amount
        END AS squares
    FROM staged_users AS u
    LEFT JOIN LATERAL (
        SELECT t.*
        FROM public.transactions AS t
        WHERE t.user_id = u.user_id
        ORDER BY t.occurred_at DESC, t.user_txns_before DESC
        LIMIT 1
    ) AS last_row ON true
),

totalled AS (
    SELECT
        s.*,
        count(*) OVER before AS txns,
        coalesce(sum(s.amount) OVER before, 0) AS amount_before,
        coalesce(sum(s.amount * s.amount) OVER before, 0) AS squares_before
    FROM history_stage AS s
    WINDOW before AS (
        PARTITION BY s.user_id
        ORDER BY s.occurred_at, s.transaction_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
)

INSERT INTO public.transactions (
    user_id, transaction_id, occurred_at, received_at, is_history, amount, merchant_id, location,
    user_txns_before, user_amount_before, user_amount_squares_before
)
SELECT
    n.user_id,
    n.transaction_id,
    n.occurred_at,
    %(received_at)s,
    true,
    n.amount,
    n.merchant_id,
    n.location,
    CASE WHEN s.goes_on THEN s.txns + n.txns END,
    CASE WHEN s.goes_on THEN s.amount + n.amount_before END,
    CASE WHEN s.goes_on THEN s.squares + n.squares_before END
FROM totalled AS n
INNER JOIN starts AS s ON n.user_id = s.user_id
ORDER BY n.occurred_at, n.transaction_id
