-- The explanation of a stored transaction as one document, with the decision that it explains.
CREATE OR REPLACE FUNCTION public.explanation(
    user_id bigint /* key type */,
    transaction_id bigint,
    top integer DEFAULT NULL,
    language text DEFAULT 'en'
)
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_row public.transactions := scoring.get_decision(user_id, transaction_id);
    v_model scoring.explanations := scoring.get_explanation(v_row.model_version);
BEGIN
    RETURN jsonb_build_object(
        'user_id', v_row.user_id,
        'transaction_id', v_row.transaction_id,
        'fraud_flag', v_row.fraud_flag,
        'fraud_probability', v_row.fraud_probability
    ) || scoring.explanation_document(v_model, v_row.feature_values, top, language);
END
$$;
