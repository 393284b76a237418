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
