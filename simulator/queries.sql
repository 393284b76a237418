-- Named queries of this room, read by rowguard.queries.

-- name: insert_transaction
-- Insert a transaction that happens now; the database sets its time.
INSERT INTO transactions (user_id, amount, merchant_id, location)
VALUES (%(user_id)s, %(amount)s, %(merchant_id)s, %(location)s)
RETURNING transaction_id, occurred_at, fraud_flag, fraud_probability, model_version;

-- name: insert_transaction_at
-- Insert a transaction with its time on a simulated clock.
INSERT INTO transactions (user_id, amount, merchant_id, location, occurred_at)
VALUES (%(user_id)s, %(amount)s, %(merchant_id)s, %(location)s, %(occurred_at)s)
RETURNING transaction_id, occurred_at, fraud_flag, fraud_probability, model_version;
