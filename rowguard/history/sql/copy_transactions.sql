COPY public.transactions (
    user_id, transaction_id, occurred_at, received_at, is_history, amount, merchant_id, location
)
FROM STDIN (FORMAT csv)
