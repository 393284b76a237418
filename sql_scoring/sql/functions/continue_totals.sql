-- The decision with the totals that the new row continues from, where they are not simply those of the user's last row.
-- None for a late row, whose place is before rows that have theirs, and without the lock. Pending totals of the user's
-- earlier rows, whatever left them so, are recomputed first when they are few: then the next read is fast again. Many
-- are left to recompute_totals, as an INSERT must not wait for that. It does not wait for rows that the owner or a
-- rescoring holds, and no error of it fails the INSERT: pending totals cost only time.
CREATE OR REPLACE FUNCTION scoring.continue_totals(
    p_decision scoring.decision, p_user_id bigint /* key type */, p_occurred_at timestamptz, p_is_locked boolean
)
RETURNS scoring.decision
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_max_rows CONSTANT bigint := 64;
    d scoring.decision;
    v_totals scoring.decision;
    v_from timestamptz;
    v_shifted bigint;
    v_locked bigint;
BEGIN
    d := p_decision;
    d.txns_through_last := NULL;
    d.amount_through_last := NULL;
    d.amount_squares_through_last := NULL;
    IF NOT p_is_locked OR d.last_occurred_at > p_occurred_at THEN
        RETURN d;
    END IF;
    BEGIN
        v_from := scoring.totals_pending_from(p_user_id);
        IF v_from IS NOT NULL THEN
            v_shifted := (
                SELECT count(*)
                FROM (
                    SELECT
                    FROM public.transactions AS e
                    WHERE e.user_id = p_user_id AND e.occurred_at >= v_from
                    LIMIT v_max_rows + 1
                ) AS shifted
            );
            IF v_shifted > v_max_rows THEN
                RETURN d;
            END IF;
            SELECT count(*)
            INTO v_locked
            FROM (
                SELECT
                FROM public.transactions AS e
                WHERE e.user_id = p_user_id AND e.occurred_at >= v_from
                FOR NO KEY UPDATE SKIP LOCKED
            ) AS locked;
            IF v_locked < v_shifted THEN
                RETURN d;
            END IF;
            PERFORM scoring.recompute_user_totals(p_user_id);
        END IF;
        v_totals := scoring.totals_before(p_user_id, 'infinity');
        IF v_totals.last_occurred_at <= p_occurred_at THEN
            d.txns_through_last := v_totals.txns_through_last;
            d.amount_through_last := v_totals.amount_through_last;
            d.amount_squares_through_last := v_totals.amount_squares_through_last;
        END IF;
        RETURN d;
    EXCEPTION
        WHEN OTHERS THEN
            RAISE WARNING 'running totals of a user are left to the nightly build: %', SQLERRM
                USING DETAIL = format('It is user %s.', p_user_id);
            RETURN d;
    END;
END
$$;
