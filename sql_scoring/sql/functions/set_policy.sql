-- Changes the failure policy; what is NULL stays. The time stands on the trigger's function itself, where it costs
-- next to nothing; called without values it puts it there again, for after the function was replaced.
CREATE OR REPLACE FUNCTION scoring.set_policy(
    p_on_failure text DEFAULT NULL, p_lock_timeout_ms bigint DEFAULT NULL
)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_milliseconds bigint;
BEGIN
    UPDATE scoring.settings AS s
    SET on_failure = coalesce(p_on_failure, s.on_failure),
        lock_timeout_ms = coalesce(p_lock_timeout_ms, s.lock_timeout_ms),
        changed_at = now(),
        changed_by = session_user
    WHERE num_nonnulls(p_on_failure, p_lock_timeout_ms) > 0;
    SELECT s.lock_timeout_ms INTO STRICT v_milliseconds FROM scoring.settings AS s;
    IF NOT EXISTS (
        SELECT FROM pg_proc AS p
        WHERE p.oid = 'scoring.score_on_insert()'::regprocedure
            AND p.proconfig @> ARRAY['lock_timeout=' || v_milliseconds || 'ms']
    ) THEN
        EXECUTE format('ALTER FUNCTION scoring.score_on_insert() SET lock_timeout = %L', v_milliseconds || 'ms');
    END IF;
END
$$;
