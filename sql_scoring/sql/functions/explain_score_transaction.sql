-- The explanation of what score_transaction returns for this transaction.
CREATE OR REPLACE FUNCTION public.explain_score_transaction(
    user_id bigint /* key type */,
    amount numeric,
    /* for each column: {name} {type} DEFAULT NULL, */
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
    PERFORM public.score_transaction(user_id, amount, /* for each column: {name}, */ occurred_at);
    d := scoring.decide_transaction(
        ROW(
            user_id, scoring.remove_amount_noise(amount::scoring.amount), coalesce(occurred_at, now())
            /* for each column: , {name}::{stored_type} */
        )::scoring.scoring_request
    );
    RETURN scoring.explanation_document(scoring.get_explanation(d.model_version), d.feature_values, NULL, 'en');
END
$$;
