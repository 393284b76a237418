-- The facade that the trigger calls, as it is before any model, and after models that know only score_candidate: the
-- decision is that one's, and the trigger looks up the user's last row itself. Revisions of models whose feature
-- function finds that row on its way replace the body.
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
    d scoring.decision := scoring.score_candidate(p_user_id, p_amount, p_merchant_id, p_location, p_occurred_at);
    v scoring.insert_decision;
BEGIN
    v.fraud_probability := d.fraud_probability;
    v.is_fraud := d.is_fraud;
    v.model_version := d.model_version;
    v.feature_values := d.feature_values;
    v.has_second_opinion := EXISTS (SELECT FROM scoring.models AS m WHERE m.state = 'challenger');
    RETURN v;
END
$$;
