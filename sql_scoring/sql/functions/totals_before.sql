-- The running totals through the user's last row before a time, which the totals of the next row are: zero when there
-- is none, NULL when that row's own are pending.
CREATE OR REPLACE FUNCTION scoring.totals_before(p_user_id bigint /* key type */, p_before timestamptz)
RETURNS scoring.decision
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    d scoring.decision;
BEGIN
    SELECT
        t.occurred_at,
        t.user_txns_before + 1,
        t.user_amount_before + t.amount,
        t.user_amount_squares_before + t.amount * t.amount
    INTO d.last_occurred_at, d.txns_through_last, d.amount_through_last, d.amount_squares_through_last
    FROM public.transactions AS t
    WHERE t.user_id = p_user_id AND t.occurred_at < p_before
    ORDER BY t.occurred_at DESC, t.user_txns_before DESC
    LIMIT 1;
    IF NOT FOUND THEN
        d.last_occurred_at := '-infinity';
        d.txns_through_last := 0;
        d.amount_through_last := 0;
        d.amount_squares_through_last := 0;
    END IF;
    RETURN d;
END
$$;
