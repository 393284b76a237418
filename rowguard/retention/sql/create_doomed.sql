-- Numbered, so that a batch is one range of it and the big table is read once.
CREATE TEMP TABLE doomed (
    number bigint PRIMARY KEY,
    user_id bigint NOT NULL,
    transaction_id bigint NOT NULL
)
