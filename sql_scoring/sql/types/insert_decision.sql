-- What an INSERT needs to know: the decision, and the user's last row, which the features are reckoned from anyway
-- and the new row's running totals go on from.
CREATE TYPE scoring.insert_decision AS (
    fraud_probability double precision,
    is_fraud boolean,
    model_version text,
    feature_values real[],
    -- Whether the other of champion and challenger is asked as well.
    has_second_opinion boolean,
    -- Not true: nobody looked, and the following are NULL. Otherwise they are NULL when the user has no row, and the
    -- totals also when that row has none.
    knows_last_row boolean,
    last_at timestamptz,
    txns_with_last bigint,
    amount_with_last numeric,
    amount_squares_with_last numeric
);
