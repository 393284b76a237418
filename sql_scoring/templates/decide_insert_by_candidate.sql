-- Generated for {version}: the decision is score_candidate's, because a list that decides has no function for the
-- trigger. The user's last row comes with it, as the trigger expects of a revision that also wrote the second opinion.
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
    SELECT
        e.occurred_at,
        e.user_txns_before + 1,
        e.user_amount_before + e.amount,
        e.user_amount_squares_before + e.amount * e.amount
    INTO v.last_at, v.txns_with_last, v.amount_with_last, v.amount_squares_with_last
    FROM public.transactions AS e
    WHERE e.user_id = p_user_id
    ORDER BY e.occurred_at DESC, e.user_txns_before DESC
    LIMIT 1;
    v.knows_last_row := true;
    v.fraud_probability := d.fraud_probability;
    v.is_fraud := d.is_fraud;
    v.model_version := d.model_version;
    v.feature_values := d.feature_values;
    v.has_second_opinion := true;
    RETURN v;
END
$$;
