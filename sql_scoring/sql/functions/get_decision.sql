-- A stored row with its decision. P0002: there is no such row. 55000: it has no decision, and why.
CREATE OR REPLACE FUNCTION scoring.get_decision(p_user_id bigint /* key type */, p_transaction_id bigint)
RETURNS public.transactions
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_row public.transactions;
BEGIN
    SELECT t.* INTO v_row
    FROM public.transactions AS t
    WHERE t.user_id = p_user_id AND t.transaction_id = p_transaction_id;
    IF v_row.user_id IS NULL THEN
        RAISE EXCEPTION 'user % has no transaction %', p_user_id, p_transaction_id USING ERRCODE = 'no_data_found';
    END IF;
    IF v_row.model_version IS NULL THEN
        RAISE EXCEPTION 'transaction % of user % has no decision: %', p_transaction_id, p_user_id, coalesce(
            v_row.unscored_reason,
            CASE WHEN v_row.is_history THEN 'it was imported as history' ELSE 'no model was deployed' END
        ) USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN v_row;
END
$$;
