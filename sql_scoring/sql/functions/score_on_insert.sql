-- Scores a row before it is written: lock the user, stamp the arrival, read the features, decide.
--
-- The lock comes before the read, so that concurrent inserts of one user see each other; it is held to the end of the
-- transaction (a session lock would leak through PgBouncer). The arrival is stamped after the lock, so that per user
-- the order of arrival is the order in which the rows became visible. The running totals continue from the user's
-- last row, which no other backend can change under the lock. A row that is late, or whose transaction may not see
-- the last row, gets none; recompute_totals fills them in. A lock that is not granted within lock_timeout, and any
-- error while scoring, goes to scoring.apply_failure_policy. SECURITY DEFINER: the inserting role needs no right to
-- read other rows.
--
-- PostgreSQL builds every expression again in each transaction: so there are few, and rare ones are in branches that
-- are rarely entered. PERFORM would run a whole query, an expression in IF does not.
CREATE OR REPLACE FUNCTION scoring.score_on_insert()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5000ms'
AS $$
DECLARE
    d scoring.decision;
    s scoring.shadow_score;
    v_sqlstate text;
    v_message text;
BEGIN
    -- The exception block is entered only when another transaction holds the lock.
    IF pg_try_advisory_xact_lock(scoring.user_lock_key(NEW.user_id)) IS NOT TRUE THEN
        IF NEW.user_id IS NULL THEN
            RETURN NEW; -- the table rejects it by name
        END IF;
        BEGIN
            PERFORM pg_advisory_xact_lock(scoring.user_lock_key(NEW.user_id));
        EXCEPTION
            WHEN lock_not_available OR query_canceled THEN
                v_sqlstate := SQLSTATE;
                v_message := SQLERRM || ' while another transaction holds the lock of user ' || NEW.user_id;
        END;
    END IF;
    NEW.received_at := clock_timestamp();
    IF NEW.occurred_at IS NULL THEN
        NEW.occurred_at := NEW.received_at;
    END IF;
    -- Decision columns that a client sends are dropped: those that a score overwrites, further down. One expression
    -- asks whether there are others, a wrong time, or noise in the amount.
    IF (
        NOT NEW.is_history
        AND NOT NEW.is_control
        AND num_nonnulls(
            NEW.unscored_reason, NEW.shadow_version, NEW.shadow_probability, NEW.shadow_feature_values,
            NEW.shadow_error
        ) = 0
        AND NEW.occurred_at >= timestamptz '1970-01-01 00:00:00+00'
        AND NEW.occurred_at <= NEW.received_at + interval '24 hours'
        AND min_scale(NEW.amount) <= 4
    ) IS NOT TRUE THEN
        NEW.amount := scoring.remove_amount_noise(NEW.amount);
        NEW.is_history := false;
        NEW.is_control := false;
        NEW.unscored_reason := NULL;
        NEW.shadow_version := NULL;
        NEW.shadow_probability := NULL;
        NEW.shadow_feature_values := NULL;
        NEW.shadow_error := NULL;
        PERFORM scoring.check_transaction(NEW.occurred_at);
    END IF;

    IF v_sqlstate IS NULL THEN
        BEGIN
            d := scoring.decide_transaction(
                ROW(NEW.user_id, NEW.amount, NEW.merchant_id, NEW.location, NEW.occurred_at)::scoring.scoring_request
            );
        EXCEPTION
            -- A payment is never lost because its score failed; the row states why it has none.
            WHEN query_canceled OR OTHERS THEN
                v_sqlstate := SQLSTATE;
                v_message := SQLERRM;
        END;
    END IF;
    IF d.last_occurred_at <= NEW.occurred_at AND current_setting('transaction_isolation') = 'read committed' THEN
        NEW.user_txns_before := d.txns_through_last;
        NEW.user_amount_before := d.amount_through_last;
        NEW.user_amount_squares_before := d.amount_squares_through_last;
    ELSIF d.last_occurred_at IS NULL AND v_sqlstate IS NULL
        AND current_setting('transaction_isolation') = 'read committed'
    THEN
        NEW.user_txns_before := 0;
        NEW.user_amount_before := 0;
        NEW.user_amount_squares_before := 0;
    ELSE
        NEW.user_txns_before := NULL;
        NEW.user_amount_before := NULL;
        NEW.user_amount_squares_before := NULL;
    END IF;

    IF d.fraud_probability BETWEEN 0 AND 1 THEN
        NEW.fraud_probability := d.fraud_probability;
        NEW.model_version := d.model_version;
        NEW.feature_values := d.feature_values;
        NEW.scored_at := NEW.received_at;
        NEW.fraud_flag := 'LEGITIMATE';
        IF d.is_fraud THEN
            -- A random sample of the alerts joins the control group, so that labels stay unbiased: the probability is
            -- stored, the flag, which applications act on, is LEGITIMATE.
            NEW.is_control := random() < coalesce(
                (SELECT r.rate FROM scoring.control_rates AS r ORDER BY r.valid_from DESC LIMIT 1), 0
            );
            IF NOT NEW.is_control THEN
                NEW.fraud_flag := 'FRAUD';
            END IF;
        END IF;
        IF d.needs_shadow_score THEN
            s := scoring.shadow_score(
                ROW(NEW.user_id, NEW.amount, NEW.merchant_id, NEW.location, NEW.occurred_at)::scoring.scoring_request, d
            );
            NEW.shadow_version := s.model_version;
            NEW.shadow_probability := s.probability;
            NEW.shadow_feature_values := s.feature_values;
            NEW.shadow_error := s.error;
        END IF;
        RETURN NEW;
    END IF;

    NEW.fraud_flag := NULL;
    NEW.fraud_probability := NULL;
    NEW.model_version := NULL;
    NEW.scored_at := NULL;
    NEW.feature_values := NULL;
    IF d.model_version IS NOT NULL THEN
        v_sqlstate := 'XX001';
        v_message := format(
            'model %s is corrupt: it returned %s', d.model_version, coalesce(d.fraud_probability::text, 'nothing')
        );
    END IF;
    NEW.unscored_reason := scoring.apply_failure_policy(
        coalesce(v_sqlstate, 'NOMODEL'), coalesce(v_message, 'no model is deployed yet')
    );
    RETURN NEW;
END
$$;
