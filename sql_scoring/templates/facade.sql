-- Generated for {version}: binds the feature functions of its list ({feature_hash8}) to its scoring function.
CREATE OR REPLACE FUNCTION scoring.decide_transaction(p_request scoring.scoring_request)
RETURNS scoring.decision
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    d scoring.decision;
BEGIN
{canary}    d := features.live_feature_values_{feature_hash8}(p_request);
    d.fraud_probability := {function_name}(d.feature_values);
    d.is_fraud := d.fraud_probability >= {cut}::double precision;
{shown}    d.model_version := {version_literal};
{shadow}    RETURN d;
END
$$;

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
DECLARE
    d scoring.decision;
BEGIN
    d.feature_values := features.supplied_feature_values_{feature_hash8}(
        p_transaction_amount, p_time_since_last_txn, p_num_txns_last_hour, p_user_location_match
    );
    d.fraud_probability := {function_name}(d.feature_values);
    d.is_fraud := d.fraud_probability >= {cut}::double precision;
{shown}    d.model_version := {version_literal};
    RETURN d;
END
$$;
