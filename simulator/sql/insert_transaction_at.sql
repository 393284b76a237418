-- A transaction that names its instant, as one on a simulated clock does.
INSERT INTO transactions (user_id, amount, merchant_id, location, occurred_at)
VALUES (%(user_id)s, %(amount)s, %(merchant_id)s, %(location)s, %(occurred_at)s)
RETURNING transaction_id, occurred_at, fraud_flag, fraud_probability, model_version;
