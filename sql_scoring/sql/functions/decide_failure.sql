-- The failure policy: the reason that goes on the row, or an error that refuses the INSERT. Called by the trigger
-- when a row could not be scored, never on the good path.
CREATE OR REPLACE FUNCTION scoring.decide_failure(p_sqlstate text, p_message text)
RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_refuse boolean;
    v_budget interval;
    v_reason text := left(p_sqlstate || ': ' || p_message, 500);
BEGIN
    IF p_sqlstate = '57014' THEN
        -- A statement that used up its time is decided; one that somebody cancels ends, as they wish.
        v_budget := current_setting('statement_timeout')::interval;
        IF v_budget = interval '0' OR clock_timestamp() - statement_timestamp() < v_budget THEN
            RAISE EXCEPTION '%', p_message USING ERRCODE = 'query_canceled';
        END IF;
    END IF;
    v_refuse := (SELECT s.on_failure = 'refuse' FROM scoring.settings AS s);
    IF p_sqlstate = 'NOMODEL' THEN
        IF v_refuse THEN
            RAISE EXCEPTION '%', p_message USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        RETURN NULL; -- before any model this is no failure, and no row needs a word about it
    END IF;
    IF v_refuse THEN
        RAISE EXCEPTION 'the transaction could not be scored and is refused: %', v_reason
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Try again; rowguard policy shows the setting.';
    END IF;
    RAISE WARNING 'a transaction is stored without a decision: %', v_reason;
    RETURN v_reason;
END
$$;
