-- Running totals hold while several sessions work on one user: rows are locked before they are reckoned, marks before
-- they are set, and a late row waits for nobody.

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

-- A row that arrived late shifts the running totals of the rows after it. A few of them are mended at once, so that
-- the user's next read is quick again; many are left to rebuild_totals, as an INSERT must not wait for that.
-- AFTER the row is written: with ON CONFLICT DO NOTHING the BEFORE trigger sees rows that then are none.
-- Nor does it wait for rows that the owner or a rescoring holds, or fail because of what goes wrong here: without
-- totals the row is as good, and only read more slowly.
CREATE OR REPLACE FUNCTION scoring.fold_late_row()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_most CONSTANT bigint := 64;
    v_from timestamptz;
    v_shifted bigint;
    v_locked bigint;
    v_budget interval;
BEGIN
    -- Without the lock (it waited too long for it), or on an old snapshot, it may not see what it would shift.
    IF current_setting('transaction_isolation') <> 'read committed'
        OR NOT pg_try_advisory_xact_lock(7265, hashint8(NEW.user_id) & 4095)
    THEN
        RETURN NULL;
    END IF;
    SELECT e.occurred_at
    INTO v_from
    FROM public.transactions AS e
    WHERE e.user_id = NEW.user_id AND e.user_txns_before IS NULL
    ORDER BY e.occurred_at
    LIMIT 1;
    v_shifted := (
        SELECT count(*)
        FROM (
            SELECT
            FROM public.transactions AS e
            WHERE e.user_id = NEW.user_id AND e.occurred_at >= v_from
            LIMIT v_most + 1
        ) AS shifted
    );
    IF v_shifted NOT BETWEEN 1 AND v_most THEN
        RETURN NULL;
    END IF;
    BEGIN
        SELECT count(*)
        INTO v_locked
        FROM (
            SELECT
            FROM public.transactions AS e
            WHERE e.user_id = NEW.user_id AND e.occurred_at >= v_from
            FOR NO KEY UPDATE SKIP LOCKED
        ) AS locked;
        IF v_locked = v_shifted THEN
            PERFORM scoring.rebuild_totals(NEW.user_id);
        END IF;
    EXCEPTION
        WHEN query_canceled THEN
            -- Its time is used up: the row stays. One that somebody cancels ends, as they wish.
            v_budget := current_setting('statement_timeout')::interval;
            IF v_budget = interval '0' OR clock_timestamp() - statement_timestamp() < v_budget THEN
                RAISE;
            END IF;
        WHEN OTHERS THEN
            RAISE WARNING 'running totals of user % are left to the nightly build: %', NEW.user_id, SQLERRM;
    END;
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
    v_first_id bigint;
    v_is_marked boolean;
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
        -- Locked first: the row may be another session's to remove, or its mark another's to mend, just now.
        SELECT
            e.transaction_id,
            e.user_txns_before IS NULL
        INTO v_first_id, v_is_marked
        FROM public.transactions AS e
        WHERE e.user_id = v_user_id
        ORDER BY e.occurred_at, e.user_txns_before
        LIMIT 1
        FOR NO KEY UPDATE;
        IF NOT v_is_marked THEN
            UPDATE public.transactions AS t
            SET user_txns_before = NULL, user_amount_before = NULL, user_amount_squares_before = NULL
            WHERE t.user_id = v_user_id AND t.transaction_id = v_first_id;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
