-- Recomputes the running totals of these users under their locks, which are held to the end of the transaction: call
-- it with few users at a time. In the order of the locks, so that two calls wait for each other and do not deadlock. A
-- user whose lock does not come is left pending. Returns how many rows were written.
CREATE OR REPLACE FUNCTION scoring.recompute_totals(p_user_ids bigint /* key type */[])
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1000ms'
AS $$
DECLARE
    v_user_id bigint /* key type */;
    v_rows bigint := 0;
BEGIN
    FOR v_user_id IN
        SELECT u.user_id
        FROM unnest(p_user_ids) AS u (user_id)
        ORDER BY scoring.user_lock_key(u.user_id), u.user_id
    LOOP
        IF scoring.lock_user(v_user_id) IN ('lock_timeout', 'lock_limit') THEN
            RAISE NOTICE 'running totals of a user stay pending: another transaction holds the lock'
                USING DETAIL = format('It is user %s.', v_user_id);
        ELSE
            v_rows := v_rows + scoring.recompute_user_totals(v_user_id);
        END IF;
    END LOOP;
    RETURN v_rows;
END
$$;
