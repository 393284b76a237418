-- Fills in reason codes of alerts that have none, newest first; returns how many. Rows of models that are not explained
-- are left out.
CREATE OR REPLACE FUNCTION scoring.explain_alerts(p_since timestamptz, p_max_rows integer)
RETURNS integer
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_rows integer;
BEGIN
    WITH alerts AS (
        SELECT t.user_id, t.transaction_id, t.model_version, t.feature_values
        FROM public.transactions AS t
        INNER JOIN scoring.explanations AS e ON t.model_version = e.version
        WHERE t.received_at >= p_since AND t.reason_codes IS NULL AND (t.fraud_flag = 'FRAUD' OR t.is_control)
        ORDER BY t.received_at DESC
        LIMIT p_max_rows
        FOR NO KEY UPDATE OF t SKIP LOCKED
    )

    UPDATE public.transactions AS t
    SET reason_codes = scoring.get_reason_codes(a.model_version, a.feature_values)
    FROM alerts AS a
    WHERE t.user_id = a.user_id AND t.transaction_id = a.transaction_id;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    RETURN v_rows;
END
$$;
