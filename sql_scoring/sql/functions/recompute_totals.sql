-- Recomputes the running totals of these users under their locks, which are held to the end of the transaction: call
-- it with few users at a time. In the order of the locks, so that two calls wait for each other and do not deadlock.
CREATE OR REPLACE FUNCTION scoring.recompute_totals(p_user_ids bigint[])
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_user_id bigint;
    v_rows bigint := 0;
BEGIN
    FOR v_user_id IN
        SELECT u.user_id
        FROM unnest(p_user_ids) AS u (user_id)
        ORDER BY scoring.user_lock_key(u.user_id), u.user_id
    LOOP
        PERFORM pg_advisory_xact_lock(scoring.user_lock_key(v_user_id));
        v_rows := v_rows + scoring.recompute_user_totals(v_user_id);
    END LOOP;
    RETURN v_rows;
END
$$;
