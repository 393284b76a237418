-- The transaction that is being scored: the columns that a client brings.
CREATE TYPE scoring.scoring_request AS (
    user_id bigint /* key type */,
    amount numeric,
    occurred_at timestamptz /* for each column: ,
    {name} {type} */
);
