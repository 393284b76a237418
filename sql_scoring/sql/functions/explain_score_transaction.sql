-- The explanation of what score_transaction returns for this transaction.
CREATE OR REPLACE FUNCTION public.explain_score_transaction(
    user_id bigint,
    amount numeric,
    merchant_id bigint DEFAULT NULL,
    location text DEFAULT NULL,
    occurred_at timestamptz DEFAULT pg_catalog.now()
)
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    d scoring.decision;
BEGIN
    -- Its checks hold here as well.
    PERFORM public.score_transaction(user_id, amount, merchant_id, location, occurred_at);
    d := scoring.decide_transaction(
        ROW(
            user_id, scoring.remove_amount_noise(amount::scoring.amount), merchant_id, location::scoring.location,
            coalesce(occurred_at, now())
        )::scoring.scoring_request
    );
    RETURN scoring.explanation_document(scoring.get_explanation(d.model_version), d.feature_values, NULL, 'en');
END
$$;
