-- Back to the functions as they were.

-- Reckons a user's running totals from the row before the first one without any; answers how many rows it wrote.
-- The caller holds the user's lock, or no one inserts.
CREATE OR REPLACE FUNCTION scoring.rebuild_totals(p_user_id bigint)
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_from timestamptz;
    v_txns bigint := 0;
    v_amount numeric := 0;
    v_squares numeric := 0;
    v_rows bigint;
BEGIN
    SELECT e.occurred_at
    INTO v_from
    FROM public.transactions AS e
    WHERE e.user_id = p_user_id AND e.user_txns_before IS NULL
    ORDER BY e.occurred_at
    LIMIT 1;
    IF v_from IS NULL THEN
        RETURN 0;
    END IF;
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

-- A row that arrived late shifts the running totals of the rows after it. A few of them are mended at once, so that
-- the user's next read is quick again; many are left to rebuild_totals, as an INSERT must not wait for that.
-- AFTER the row is written: with ON CONFLICT DO NOTHING the BEFORE trigger sees rows that then are none.
CREATE OR REPLACE FUNCTION scoring.fold_late_row()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_most CONSTANT bigint := 64;
BEGIN
    -- Without the lock (it waited too long for it), or on an old snapshot, it may not see what it would shift.
    IF current_setting('transaction_isolation') <> 'read committed'
        OR NOT pg_try_advisory_xact_lock(7265, hashint8(NEW.user_id) & 4095)
    THEN
        RETURN NULL;
    END IF;
    IF (
        SELECT count(*) <= v_most
        FROM (
            SELECT
            FROM public.transactions AS e
            WHERE e.user_id = NEW.user_id
                AND e.occurred_at >= (
                    SELECT n.occurred_at
                    FROM public.transactions AS n
                    WHERE n.user_id = NEW.user_id AND n.user_txns_before IS NULL
                    ORDER BY n.occurred_at
                    LIMIT 1
                )
            LIMIT v_most + 1
        ) AS shifted
    ) THEN
        PERFORM scoring.rebuild_totals(NEW.user_id);
    END IF;
    RETURN NULL;
END
$$;

-- When the owner changes or deletes a row, the totals behind it are wrong: the user's first row is marked as not
-- known, and the features are read row by row until rebuild_totals has been there.
-- Deleting a user's oldest rows marks nothing, as no window's difference reaches before the first row that is left;
-- unless the row was such a mark itself, which then passes on.
CREATE OR REPLACE FUNCTION scoring.forget_totals()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_user_ids bigint[] := ARRAY[OLD.user_id];
    v_user_id bigint;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        v_user_ids := ARRAY[OLD.user_id, NEW.user_id];
    ELSIF OLD.user_txns_before IS NOT NULL
        AND NOT EXISTS (
            SELECT
            FROM public.transactions AS e
            WHERE e.user_id = OLD.user_id AND e.occurred_at <= OLD.occurred_at
        )
    THEN
        RETURN NULL;
    END IF;
    FOREACH v_user_id IN ARRAY v_user_ids LOOP
        UPDATE public.transactions AS t
        SET user_txns_before = NULL, user_amount_before = NULL, user_amount_squares_before = NULL
        FROM (
            SELECT e.transaction_id
            FROM public.transactions AS e
            WHERE e.user_id = v_user_id
            ORDER BY e.occurred_at, e.user_txns_before
            LIMIT 1
        ) AS first_row
        WHERE t.user_id = v_user_id
            AND t.transaction_id = first_row.transaction_id
            AND t.user_txns_before IS NOT NULL;
    END LOOP;
    RETURN NULL;
END
$$;
