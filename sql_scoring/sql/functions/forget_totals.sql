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
