-- The transaction that is being scored: the columns that a client brings.
CREATE TYPE scoring.scoring_request AS (
    user_id bigint,
    amount numeric,
    merchant_id bigint,
    location text,
    occurred_at timestamptz
);
