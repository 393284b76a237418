-- Decides a row before it is written: lock the user, stamp the arrival, read velocity, score.
--
-- The lock comes before the read, so that concurrent inserts of one user see each other; it is held to the
-- end of the transaction (a session lock would leak through PgBouncer). The arrival is stamped after the
-- lock, so that per user the order of arrival is the order in which the rows became visible.
-- The running totals go on from the user's last row, which nobody can change under the lock. A row that is late,
-- or whose transaction may not see the last row, gets none; fold_late_row and rebuild_totals see to it later.
-- Users share 4,096 locks: a statement that inserts rows of very many users must not fill the server's lock table.
-- A lock that does not come within lock_timeout, and whatever else goes wrong while scoring, is decided by the
-- failure policy (scoring.decide_failure); only that path costs anything. scoring.set_policy changes the time.
-- SECURITY DEFINER: the inserting role needs no right to read other rows.
--
-- Written for speed where it does not show: every expression that is evaluated is built anew in each transaction, so
-- those of the rare ways stand in branches of their own. PERFORM would run a whole query each time, an expression in
-- IF does not; and the checks are asked again by name only when one of them fails, for the message.
CREATE OR REPLACE FUNCTION scoring.score_on_insert()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5000ms'
AS $$
DECLARE
    v scoring.insert_decision;
    v_state text;
    v_late text;
BEGIN
    -- The exception block is entered only when somebody else holds the lock.
    IF pg_try_advisory_xact_lock(7265, hashint8(NEW.user_id) & 4095) IS NOT TRUE THEN
        IF NEW.user_id IS NULL THEN
            RETURN NEW; -- the table refuses it by name
        END IF;
        BEGIN
            PERFORM pg_advisory_xact_lock(7265, hashint8(NEW.user_id) & 4095);
        EXCEPTION
            WHEN lock_not_available OR query_canceled THEN
                v_state := SQLSTATE;
                v_late := SQLERRM || ' while another transaction holds the lock of user ' || NEW.user_id;
        END;
    END IF;
    NEW.received_at := clock_timestamp();
    IF NEW.occurred_at IS NULL THEN
        NEW.occurred_at := NEW.received_at;
    END IF;
    -- What a client sends for the decision is dropped, not trusted; what is no transaction is refused by name. Asked in
    -- one expression whether there is either, which there mostly is not.
    IF (
        NOT NEW.is_history
        AND NOT NEW.is_let_through
        AND num_nonnulls(
            NEW.fraud_flag, NEW.fraud_probability, NEW.model_version, NEW.scored_at, NEW.feature_values,
            NEW.unscored_reason, NEW.shadow_version, NEW.shadow_probability, NEW.shadow_feature_values,
            NEW.shadow_error
        ) = 0
        AND NEW.amount >= 0
        AND NEW.amount < 1e12
        AND min_scale(NEW.amount) <= 4
        AND NEW.occurred_at >= timestamptz '1970-01-01 00:00:00+00'
        AND NEW.occurred_at <= NEW.received_at + interval '24 hours'
    ) IS NOT TRUE THEN
        NEW.is_history := false;
        NEW.is_let_through := false;
        NEW.fraud_flag := NULL;
        NEW.fraud_probability := NULL;
        NEW.model_version := NULL;
        NEW.scored_at := NULL;
        NEW.feature_values := NULL;
        NEW.unscored_reason := NULL;
        NEW.shadow_version := NULL;
        NEW.shadow_probability := NULL;
        NEW.shadow_feature_values := NULL;
        NEW.shadow_error := NULL;
        PERFORM scoring.check_transaction(NEW.amount, NEW.occurred_at);
    END IF;

    IF v_state IS NOT NULL THEN
        -- Without the lock it may not see the user's last row: no totals, which fold_late_row sees to.
        NEW.user_txns_before := NULL;
        NEW.user_amount_before := NULL;
        NEW.user_amount_squares_before := NULL;
        NEW.unscored_reason := scoring.decide_failure(v_state, v_late);
        RETURN NEW;
    END IF;

    BEGIN
        v := scoring.decide_insert(NEW.user_id, NEW.amount, NEW.merchant_id, NEW.location, NEW.occurred_at);
    EXCEPTION
        -- A payment is never lost because its score failed; the row says why it has none.
        WHEN query_canceled OR OTHERS THEN
            v := NULL;
            NEW.unscored_reason := scoring.decide_failure(SQLSTATE, SQLERRM);
    END;
    IF v.knows_last_row IS NOT TRUE THEN
        SELECT
            e.occurred_at,
            e.user_txns_before + 1,
            e.user_amount_before + e.amount,
            e.user_amount_squares_before + e.amount * e.amount
        INTO v.last_at, v.txns_with_last, v.amount_with_last, v.amount_squares_with_last
        FROM public.transactions AS e
        WHERE e.user_id = NEW.user_id
        ORDER BY e.occurred_at DESC, e.user_txns_before DESC
        LIMIT 1;
    END IF;
    IF v.last_at <= NEW.occurred_at AND current_setting('transaction_isolation') = 'read committed' THEN
        NEW.user_txns_before := v.txns_with_last;
        NEW.user_amount_before := v.amount_with_last;
        NEW.user_amount_squares_before := v.amount_squares_with_last;
    ELSIF v.last_at IS NULL AND current_setting('transaction_isolation') = 'read committed' THEN
        NEW.user_txns_before := 0;
        NEW.user_amount_before := 0;
        NEW.user_amount_squares_before := 0;
    ELSE
        NEW.user_txns_before := NULL;
        NEW.user_amount_before := NULL;
        NEW.user_amount_squares_before := NULL;
    END IF;

    IF v.fraud_probability BETWEEN 0 AND 1 THEN
        NEW.fraud_probability := v.fraud_probability;
        NEW.model_version := v.model_version;
        NEW.feature_values := v.feature_values;
        NEW.scored_at := NEW.received_at;
        NEW.fraud_flag := 'LEGITIMATE';
        IF v.is_fraud THEN
            -- A random share of the alerts is let through: what is always stopped is never found out, and the next model
            -- would learn nothing about it. The probability stays; the flag, which applications act on, says LEGITIMATE.
            -- Second opinions that older revisions wrote drop the mark: beside those nothing is let through.
            NEW.is_let_through := random() < coalesce(
                (SELECT s.share FROM scoring.let_through_shares AS s ORDER BY s.valid_from DESC LIMIT 1), 0
            ) AND (v.knows_last_row OR v.has_second_opinion IS NOT TRUE) IS TRUE;
            IF NOT NEW.is_let_through THEN
                NEW.fraud_flag := 'FRAUD';
            END IF;
        END IF;
    ELSIF v.model_version IS NOT NULL THEN
        NEW.unscored_reason := scoring.decide_failure(
            'XX001', format(
                'model %s is corrupt: it answers %s', v.model_version, coalesce(v.fraud_probability::text, 'nothing')
            )
        );
    ELSIF NEW.unscored_reason IS NULL THEN
        NEW.unscored_reason := scoring.decide_failure('NOMODEL', 'no model is deployed yet');
    END IF;
    IF v.has_second_opinion THEN
        NEW.shadow_version := ''; -- fires shadow_on_insert, which puts something there or takes it away
    END IF;
    RETURN NEW;
END
$$;
