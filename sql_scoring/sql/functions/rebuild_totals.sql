-- Reckons a user's running totals from the row before the first one without any; answers how many rows it wrote.
-- The caller holds the user's lock, or no one inserts. The owner changes and deletes rows without that lock: so the
-- rows are locked first, and reckoned from what is there then.
CREATE OR REPLACE FUNCTION scoring.rebuild_totals(p_user_id bigint)
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_from timestamptz;
    v_locked_from timestamptz;
    v_txns bigint := 0;
    v_amount numeric := 0;
    v_squares numeric := 0;
    v_rows bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'running totals are reckoned in READ COMMITTED transactions only: an old snapshot misses rows'
            USING ERRCODE = 'active_sql_transaction';
    END IF;
    LOOP
        SELECT e.occurred_at
        INTO v_from
        FROM public.transactions AS e
        WHERE e.user_id = p_user_id AND e.user_txns_before IS NULL
        ORDER BY e.occurred_at
        LIMIT 1;
        IF v_from IS NULL THEN
            RETURN 0;
        END IF;
        -- Whoever was waited for may have left a mark further back.
        EXIT WHEN v_from >= v_locked_from;
        PERFORM
        FROM public.transactions AS e
        WHERE e.user_id = p_user_id AND e.occurred_at >= v_from
        FOR NO KEY UPDATE;
        v_locked_from := v_from;
    END LOOP;
    -- Rows of that instant are put in order anew: of loaded history by their ids, otherwise by arrival.
    SELECT
        e.user_txns_before + 1,
        e.user_amount_before + e.amount,
        e.user_amount_squares_before + e.amount * e.amount
    INTO v_txns, v_amount, v_squares
    FROM public.transactions AS e
    WHERE e.user_id = p_user_id AND e.occurred_at < v_from
    ORDER BY e.occurred_at DESC, e.user_txns_before DESC
    LIMIT 1;
    UPDATE public.transactions AS t
    SET
        user_txns_before = coalesce(v_txns, 0) + n.txns,
        user_amount_before = coalesce(v_amount, 0) + n.amount,
        user_amount_squares_before = coalesce(v_squares, 0) + n.squares
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
    WHERE t.user_id = p_user_id AND t.transaction_id = n.transaction_id;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    RETURN v_rows;
END
$$;
