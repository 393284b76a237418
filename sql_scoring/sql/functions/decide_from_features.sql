-- The facade for a caller who brings four features and no transaction; as it is before any model.
CREATE OR REPLACE FUNCTION scoring.decide_from_features(
    p_transaction_amount double precision,
    p_time_since_last_txn double precision,
    p_num_txns_last_hour integer,
    p_user_location_match boolean
)
RETURNS scoring.decision
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN NULL;
END
$$;
