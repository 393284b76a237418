COPY public.fraud_labels (user_id, transaction_id, is_fraud, labelled_at, source)
FROM STDIN (FORMAT csv)
