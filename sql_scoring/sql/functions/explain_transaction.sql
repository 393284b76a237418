-- Why a stored transaction got its score: from the values and the model version on its row, so years later the same bits.
CREATE OR REPLACE FUNCTION public.explain_transaction(
    user_id bigint /* key type */,
    transaction_id bigint,
    top integer DEFAULT NULL
)
RETURNS TABLE (
    rank integer,
    feature text,
    value double precision,
    contribution double precision,
    reason_code text,
    reason text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_row public.transactions := scoring.get_decision(user_id, transaction_id);
BEGIN
    RETURN QUERY
    SELECT e.* FROM public.explain_features(v_row.feature_values, v_row.model_version, top) AS e;
END
$$;
