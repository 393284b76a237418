-- Generated for {version}: binds the feature function of its own list ({feature_hash8}) to its scoring function.
CREATE OR REPLACE FUNCTION scoring.score_candidate(
    p_user_id bigint,
    p_amount numeric,
    p_merchant_id bigint,
    p_location text,
    p_occurred_at timestamptz
)
RETURNS scoring.decision
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v real[];
    v_probability double precision;
BEGIN
{canary}    v := features.live_feature_values_{feature_hash8}(
        p_user_id, p_amount, p_merchant_id, p_location, p_occurred_at
    );
    v_probability := {function_name}(v);
    RETURN (v_probability, v_probability >= {threshold}::double precision, {version_literal}::text, v);
END
$$;

CREATE OR REPLACE FUNCTION scoring.score_basic(
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
    v real[] := features.supplied_feature_values_{feature_hash8}(
        p_transaction_amount, p_time_since_last_txn, p_num_txns_last_hour, p_user_location_match
    );
    v_probability double precision := {function_name}(v);
BEGIN
    RETURN (v_probability, v_probability >= {threshold}::double precision, {version_literal}::text, v);
END
$$;
