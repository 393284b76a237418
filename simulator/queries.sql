-- Named queries of this room, read by rowguard.queries.

-- name: insert_transaction
-- Insert a transaction; without a time the database sets it.
INSERT INTO transactions (user_id, amount, merchant_id, location, occurred_at)
VALUES (%(user_id)s, %(amount)s, %(merchant_id)s, %(location)s, %(occurred_at)s)
RETURNING transaction_id, fraud_flag, fraud_probability;
