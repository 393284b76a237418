-- A decision and the user's last row, which the features are computed from anyway and the new row's running totals
-- continue from. The facade fills the first five fields, the feature function feature_values, the references and the last four.
CREATE TYPE scoring.decision AS (
    fraud_probability double precision,
    is_fraud boolean,
    model_version text,
    feature_values real[],
    /* for each reference column: {name} {type}, */
    -- Whether the other of champion and challenger scores the row as well.
    needs_shadow_score boolean,
    -- -infinity and zeros when the user has no row; NULL when totals of the user's rows are pending.
    last_occurred_at timestamptz,
    txns_through_last bigint,
    amount_through_last numeric,
    amount_squares_through_last numeric
);
