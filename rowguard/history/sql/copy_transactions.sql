COPY history_stage (user_id, transaction_id, occurred_at, amount, merchant_id, location)
FROM STDIN (FORMAT csv)
