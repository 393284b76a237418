-- What counts as an event is said here, once, for training and for the trigger.
SELECT
    t.user_id,
    t.transaction_id,
    t.occurred_at,
    t.received_at,
    t.is_history,
    t.amount,
    t.merchant_id,
    t.location,
    t.user_txns_before,
    t.user_amount_before,
    t.user_amount_squares_before,
    -- the transaction that wrote the row as it stands
    {{ 't.xmin' if var('row_versions') else "'0'::xid" }} AS row_version
FROM {{ source('public', 'transactions') }} AS t
