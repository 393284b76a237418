-- A score from four features; every other feature is missing to the model.
CREATE OR REPLACE FUNCTION public.score_transaction(
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
    RETURN scoring.to_fraud_score(
        scoring.score_basic(transaction_amount, time_since_last_txn, num_txns_last_hour, user_location_match)
    );
END
$$;
