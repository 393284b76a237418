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
    -- Loading ends with settle_totals. Without the lock (it waited too long for it), or on an old snapshot, it may not see
    -- what it would shift.
    IF NEW.is_history
        OR current_setting('transaction_isolation') <> 'read committed'
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
