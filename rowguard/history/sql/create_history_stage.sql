-- Where the rows of a file wait until all of them are known, as running totals need a user's rows together.
CREATE TEMP TABLE history_stage (
    user_id bigint NOT NULL,
    transaction_id bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    amount numeric NOT NULL,
    merchant_id bigint,
    location text
)
ON COMMIT DROP
