-- Generated for {version}: the decision for the trigger, with the user's last row, which the features are reckoned from.
CREATE OR REPLACE FUNCTION scoring.decide_insert(
    p_user_id bigint,
    p_amount numeric,
    p_merchant_id bigint,
    p_location text,
    p_occurred_at timestamptz
)
RETURNS scoring.insert_decision
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v scoring.insert_decision;
BEGIN
{canary}    v := features.insert_feature_values_{feature_hash8}(
        p_user_id, p_amount, p_merchant_id, p_location, p_occurred_at
    );
    v.fraud_probability := {function_name}(v.feature_values);
    v.is_fraud := v.fraud_probability >= {threshold}::double precision;
    v.model_version := {version_literal};
{second_opinion}    RETURN v;
END
$$;
