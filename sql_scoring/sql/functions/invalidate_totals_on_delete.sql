-- Totals after a deleted row are wrong. Not when the user's oldest rows go, as retention deletes them: no window's
-- difference reaches before the first row that is left. A deleted row that was itself pending passes that on.
CREATE OR REPLACE FUNCTION scoring.invalidate_totals_on_delete()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM scoring.invalidate_totals(u.user_id)
    FROM (
        SELECT d.user_id, max(d.occurred_at) AS last_occurred_at, bool_or(d.user_txns_before IS NULL) AS is_pending
        FROM deleted AS d
        GROUP BY d.user_id
        ORDER BY d.user_id
    ) AS u
    WHERE u.is_pending OR EXISTS (
        SELECT FROM public.transactions AS e
        WHERE e.user_id = u.user_id AND e.occurred_at <= u.last_occurred_at
    );
    RETURN NULL;
END
$$;
