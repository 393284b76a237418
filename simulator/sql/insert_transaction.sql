-- A transaction that happens now: the database gives it its instant.
INSERT INTO transactions (user_id, amount, merchant_id, location)
VALUES (%(user_id)s, %(amount)s, %(merchant_id)s, %(location)s)
RETURNING transaction_id, occurred_at, fraud_flag, fraud_probability, model_version;
