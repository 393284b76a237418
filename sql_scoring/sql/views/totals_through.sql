-- The running totals through each row, itself included: those before the user's next one.
CREATE VIEW scoring.totals_through AS
SELECT
    t.user_id,
    t.occurred_at,
    t.merchant_id,
    t.location,
    t.user_txns_before,
    t.user_txns_before + 1 AS txns_through,
    t.user_amount_before + t.amount AS amount_through,
    t.user_amount_squares_before + t.amount * t.amount AS amount_squares_through
FROM public.transactions AS t;
