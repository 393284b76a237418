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
