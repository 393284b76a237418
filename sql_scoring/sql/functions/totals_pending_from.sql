-- Time of the user's first row whose running totals are pending; NULL when all are known.
CREATE OR REPLACE FUNCTION scoring.totals_pending_from(p_user_id bigint /* key type */)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT e.occurred_at
        FROM public.transactions AS e
        WHERE e.user_id = p_user_id AND e.user_txns_before IS NULL
        ORDER BY e.occurred_at
        LIMIT 1
    );
END
$$;
