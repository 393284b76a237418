-- A late-arriving row shifts the running totals of the rows after it. Few of them are recomputed here, so that the
-- user's next read is fast again; many are left to recompute_totals, as an INSERT must not wait for that. AFTER the
-- row is written: with ON CONFLICT DO NOTHING the BEFORE trigger sees rows that are never stored. It does not wait
-- for rows that the owner or a rescoring holds, and no error of it fails the INSERT: pending totals cost only time.
CREATE OR REPLACE FUNCTION scoring.recompute_totals_on_late_insert()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_max_rows CONSTANT bigint := 64;
    v_from timestamptz;
    v_shifted bigint;
    v_locked bigint;
BEGIN
    -- Loading ends with recompute_totals. Without the lock, or on an old snapshot, not every row is visible.
    IF NEW.is_history
        OR current_setting('transaction_isolation') <> 'read committed'
        OR NOT pg_try_advisory_xact_lock(scoring.user_lock_key(NEW.user_id))
    THEN
        RETURN NULL;
    END IF;
    v_from := scoring.totals_pending_from(NEW.user_id);
    v_shifted := (
        SELECT count(*)
        FROM (
            SELECT
            FROM public.transactions AS e
            WHERE e.user_id = NEW.user_id AND e.occurred_at >= v_from
            LIMIT v_max_rows + 1
        ) AS shifted
    );
    IF v_shifted NOT BETWEEN 1 AND v_max_rows THEN
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
            PERFORM scoring.recompute_user_totals(NEW.user_id);
        END IF;
    EXCEPTION
        WHEN query_canceled OR OTHERS THEN
            IF SQLSTATE = '57014' AND NOT scoring.is_statement_timeout() THEN
                RAISE;
            END IF;
            RAISE WARNING 'running totals of user % are left to the nightly build: %', NEW.user_id, SQLERRM;
    END;
    RETURN NULL;
END
$$;
