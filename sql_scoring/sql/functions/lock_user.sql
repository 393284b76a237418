-- Locks a user, then the keys of entities that are serialized as well, to the end of the transaction where the trigger's
-- single try did not. A NULL key is none. Returns NULL when the features can
-- be exact, otherwise why not: they are then read from what is committed, without what others are inserting.
--   lock_timeout  another transaction kept the lock. A transaction waits in vain once; later rows try without waiting.
--   lock_limit    no more locks: the transaction has 2,000 users, or the server's lock table, which all sessions share,
--                 is filled to 60 percent.
--   old_snapshot  REPEATABLE READ and SERIALIZABLE read what was committed when the transaction began.
-- rowguard.user_locks has a character for each row since the last call. A count of the locks reads each of them, so the
-- next one waits until the transaction may hold half as many more: then all sessions together stay below 90 percent. The
-- markers have the transaction's id: what a session sets beforehand has no effect.
CREATE OR REPLACE FUNCTION scoring.lock_user(
    p_user_id bigint /* key type */, VARIADIC p_entity_keys bigint[] DEFAULT '{}'
)
RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_key bigint;
    v_xact text := pg_current_xact_id();
    v_limit_marker text := repeat('.', 128) || v_xact;
    v_rows_to_count integer := 0;
    v_held bigint;
    v_all_held bigint;
BEGIN
    IF starts_with(current_setting('rowguard.user_locks', true), v_limit_marker) THEN
        v_limit_marker := set_config('rowguard.user_locks', v_limit_marker, true); -- PERFORM would run a query
        RETURN 'lock_limit';
    END IF;
    IF octet_length(current_setting('rowguard.user_locks', true)) > 128 THEN
        IF split_part(current_setting('rowguard.rows_to_count', true), ' ', 1) = v_xact THEN
            v_rows_to_count := split_part(current_setting('rowguard.rows_to_count'), ' ', 2)::integer - 128;
        END IF;
        IF v_rows_to_count < 128 THEN
            SELECT count(*) FILTER (WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid()), count(*)
            INTO v_held, v_all_held
            FROM pg_locks AS l
            WHERE NOT l.fastpath;
            IF v_held >= 2000
                OR v_all_held >= 0.6 * current_setting('max_locks_per_transaction')::integer
                * (current_setting('max_connections')::integer + current_setting('max_prepared_transactions')::integer)
            THEN
                PERFORM set_config('rowguard.user_locks', v_limit_marker, true);
                RETURN 'lock_limit';
            END IF;
            v_rows_to_count := least(v_held / 2, 2000 - v_held) / (1 + cardinality(p_entity_keys));
        END IF;
        PERFORM set_config('rowguard.rows_to_count', v_xact || ' ' || v_rows_to_count, true);
        PERFORM set_config('rowguard.user_locks', '', true);
    END IF;
    FOREACH v_key IN ARRAY scoring.user_lock_key(p_user_id) || p_entity_keys LOOP
        IF pg_try_advisory_xact_lock(v_key) IS FALSE THEN
            IF current_setting('rowguard.waited_in_vain', true) = pg_current_xact_id()::text THEN
                RETURN 'lock_timeout';
            END IF;
            BEGIN
                PERFORM pg_advisory_xact_lock(v_key);
            EXCEPTION
                WHEN lock_not_available OR deadlock_detected THEN
                    PERFORM set_config('rowguard.waited_in_vain', pg_current_xact_id()::text, true);
                    RETURN 'lock_timeout';
            END;
        END IF;
    END LOOP;
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        RETURN 'old_snapshot';
    END IF;
    RETURN NULL;
END
$$;
