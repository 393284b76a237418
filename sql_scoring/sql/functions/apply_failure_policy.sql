-- The failure policy: returns the reason that is stored on the row, or raises and so rejects the INSERT. Called by
-- the trigger when a row could not be scored, never on the fast path.
CREATE OR REPLACE FUNCTION scoring.apply_failure_policy(p_sqlstate text, p_message text)
RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_is_closed boolean := (SELECT s.failure_mode = 'fail_closed' FROM scoring.settings AS s);
    v_reason text := left(p_sqlstate || ': ' || p_message, 500);
BEGIN
    IF p_sqlstate = 'NOMODEL' AND NOT v_is_closed THEN
        RETURN NULL; -- before any model this is no failure, and no row needs a reason
    END IF;
    IF v_is_closed THEN
        RAISE EXCEPTION 'the transaction could not be scored and is rejected: %', v_reason
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Retry; rowguard failure-policy shows the setting.';
    END IF;
    RAISE WARNING 'a transaction is stored without a decision: %', v_reason;
    RETURN v_reason;
END
$$;
