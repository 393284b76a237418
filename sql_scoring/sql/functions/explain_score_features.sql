-- The explanation of what score_features returns for these values.
CREATE OR REPLACE FUNCTION public.explain_score_features(
    transaction_amount double precision,
    time_since_last_txn double precision,
    num_txns_last_hour integer,
    user_location_match boolean
)
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    d scoring.decision;
BEGIN
    -- Its checks hold here as well.
    PERFORM public.score_features(transaction_amount, time_since_last_txn, num_txns_last_hour, user_location_match);
    d := scoring.decide_from_features(
        CASE WHEN abs(transaction_amount) < 1e-45 THEN 0 ELSE transaction_amount END,
        CASE WHEN abs(time_since_last_txn) < 1e-45 THEN 0 ELSE time_since_last_txn END,
        num_txns_last_hour,
        user_location_match
    );
    RETURN scoring.explanation_document(scoring.get_explanation(d.model_version), d.feature_values, NULL, 'en');
END
$$;
