-- Marks a user's totals as pending, on the first row: features are read with a row scan until recompute_totals ran.
CREATE OR REPLACE FUNCTION scoring.invalidate_totals(p_user_id bigint /* key type */)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_first record;
BEGIN
    -- Locked first: another session may just now delete the row, or recompute its totals.
    SELECT e.transaction_id, e.user_txns_before
    INTO v_first
    FROM public.transactions AS e
    WHERE e.user_id = p_user_id
    ORDER BY e.occurred_at, e.user_txns_before
    LIMIT 1
    FOR NO KEY UPDATE;
    IF v_first.user_txns_before IS NOT NULL THEN
        UPDATE public.transactions AS t
        SET user_txns_before = NULL, user_amount_before = NULL, user_amount_squares_before = NULL
        WHERE t.user_id = p_user_id AND t.transaction_id = v_first.transaction_id;
    END IF;
END
$$;
