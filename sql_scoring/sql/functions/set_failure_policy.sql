-- Changes the failure policy; NULL keeps a value. The lock timeout is a setting of the trigger's function, where it
-- is free to read; called without values, it is set there again, for after the function was replaced.
CREATE OR REPLACE FUNCTION scoring.set_failure_policy(
    p_failure_mode text DEFAULT NULL, p_lock_timeout_ms bigint DEFAULT NULL
)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_lock_timeout text;
BEGIN
    UPDATE scoring.settings AS s
    SET failure_mode = coalesce(p_failure_mode, s.failure_mode),
        lock_timeout_ms = coalesce(p_lock_timeout_ms, s.lock_timeout_ms),
        changed_at = now(),
        changed_by = session_user
    WHERE num_nonnulls(p_failure_mode, p_lock_timeout_ms) > 0;
    SELECT s.lock_timeout_ms || 'ms' INTO STRICT v_lock_timeout FROM scoring.settings AS s;
    IF NOT EXISTS (
        SELECT FROM pg_proc AS p
        WHERE p.oid = 'scoring.score_on_insert()'::regprocedure
            AND p.proconfig @> ARRAY['lock_timeout=' || v_lock_timeout]
    ) THEN
        EXECUTE format('ALTER FUNCTION scoring.score_on_insert() SET lock_timeout = %L', v_lock_timeout);
    END IF;
END
$$;
