-- Recomputes a user's running totals from the first pending row on; returns how many rows it changed. The caller
-- holds the user's lock, or no backend inserts. The owner changes and deletes rows without that lock: so the rows are
-- locked first, and computed from what is visible then.
CREATE OR REPLACE FUNCTION scoring.recompute_user_totals(p_user_id bigint /* key type */)
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_from timestamptz;
    v_locked_from timestamptz;
    d scoring.decision;
    v_rows bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'cannot recompute totals in a % transaction', upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'active_sql_transaction', HINT = 'Use READ COMMITTED: an old snapshot misses rows.';
    END IF;
    LOOP
        v_from := scoring.totals_pending_from(p_user_id);
        IF v_from IS NULL THEN
            RETURN 0;
        END IF;
        -- A transaction that was waited for may have left an earlier row pending.
        EXIT WHEN v_from >= v_locked_from;
        PERFORM
        FROM public.transactions AS e
        WHERE e.user_id = p_user_id AND e.occurred_at >= v_from
        FOR NO KEY UPDATE;
        v_locked_from := v_from;
    END LOOP;
    d := scoring.totals_before(p_user_id, v_from);
    -- Rows of one timestamp are ordered again: loaded history by id, otherwise by arrival.
    UPDATE public.transactions AS t
    SET
        user_txns_before = d.txns_through_last + n.txns,
        user_amount_before = d.amount_through_last + n.amount,
        user_amount_squares_before = d.amount_squares_through_last + n.squares
    FROM (
        SELECT
            e.transaction_id,
            count(*) OVER before AS txns,
            coalesce(sum(e.amount) OVER before, 0) AS amount,
            coalesce(sum(e.amount * e.amount) OVER before, 0) AS squares
        FROM public.transactions AS e
        WHERE e.user_id = p_user_id AND e.occurred_at >= v_from
        WINDOW before AS (
            ORDER BY e.occurred_at, e.received_at, e.transaction_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
    ) AS n
    WHERE t.user_id = p_user_id
        AND t.transaction_id = n.transaction_id
        AND (t.user_txns_before, t.user_amount_before, t.user_amount_squares_before)
        IS DISTINCT FROM (
            d.txns_through_last + n.txns,
            d.amount_through_last + n.amount,
            d.amount_squares_through_last + n.squares
        );
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    RETURN v_rows;
END
$$;
