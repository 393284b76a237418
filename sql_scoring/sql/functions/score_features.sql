-- A score from four features; every other feature is missing to the model, and so is NaN.
CREATE OR REPLACE FUNCTION public.score_features(
    transaction_amount double precision,
    time_since_last_txn double precision,
    num_txns_last_hour integer,
    user_location_match boolean
)
RETURNS public.fraud_score
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- The model reads features as real: what is too large for it is rejected, what is too small is 0.
    IF NOT (abs(transaction_amount) < 3.4e38 OR transaction_amount = 'NaN') THEN
        RAISE EXCEPTION 'transaction_amount is out of range'
            USING ERRCODE = 'numeric_value_out_of_range', COLUMN = 'transaction_amount';
    END IF;
    IF NOT (abs(time_since_last_txn) < 3.4e38 OR time_since_last_txn = 'NaN') THEN
        RAISE EXCEPTION 'time_since_last_txn is out of range'
            USING ERRCODE = 'numeric_value_out_of_range', COLUMN = 'time_since_last_txn';
    END IF;
    RETURN scoring.to_fraud_score(
        scoring.decide_from_features(
            CASE WHEN abs(transaction_amount) < 1e-45 THEN 0 ELSE transaction_amount END,
            CASE WHEN abs(time_since_last_txn) < 1e-45 THEN 0 ELSE time_since_last_txn END,
            num_txns_last_hour,
            user_location_match
        )
    );
END
$$;
