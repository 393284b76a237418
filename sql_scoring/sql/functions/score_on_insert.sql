-- Scores a row before it is written: lock the user, stamp the arrival, read the features, decide.
--
-- The lock comes before the read, so that concurrent inserts of one user see each other; it is held to the end of the
-- transaction (a session lock would leak through PgBouncer). The arrival is stamped after the lock, so that per user
-- the order of arrival is the order in which the rows became visible. The running totals continue from the user's
-- last row, which no other backend can change under the lock. A row that is late, or has features_caveat, gets none:
-- the user's next row fills them in, or recompute_totals. An error while scoring goes to apply_failure_policy; a
-- canceled statement ends. Entities that features.yml serializes are locked after the user, in the order of the file:
-- so INSERTs of single rows never wait for each other in a circle. SECURITY DEFINER: the inserting role needs no right to read other rows.
--
-- PostgreSQL builds every expression again in each transaction: so there are few, and rare ones are in branches that
-- are rarely entered. PERFORM would run a whole query, an expression in IF does not.
CREATE OR REPLACE FUNCTION scoring.score_on_insert()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1000ms'
AS $$
DECLARE
    d scoring.decision;
    s scoring.shadow_score;
    v_sqlstate text;
    v_message text;
BEGIN
    -- The usual row: it brings no column that only the trigger sets, and the lock is free. The setting counts the
    -- rows of the transaction, as lock_user explains.
    IF (
        NOT NEW.is_history
        AND octet_length(
            set_config('rowguard.user_locks', coalesce(current_setting('rowguard.user_locks', true), '') || '.', true)
        ) <= 128
        AND current_setting('transaction_isolation') = 'read committed'
        AND NOT NEW.is_control
        AND num_nonnulls(
            NEW.received_at, NEW.features_caveat, NEW.unscored_reason, NEW.shadow_version, NEW.shadow_probability,
            NEW.shadow_feature_values, NEW.shadow_error, NEW.reason_codes
        ) = 0
        AND min_scale(NEW.amount) <= 4
        AND pg_try_advisory_xact_lock(scoring.user_lock_key(NEW.user_id))
        /* for each serialized entity: AND pg_try_advisory_xact_lock({new_key}) IS NOT FALSE */
    ) IS NOT TRUE THEN
        IF min_scale(NEW.amount) > 4 THEN
            NEW.amount := scoring.remove_amount_noise(NEW.amount);
        END IF;
        IF NEW.is_history OR NEW.user_id IS NULL THEN
            RETURN NEW; -- loaded, as its domain allows; the table rejects a row without a user by name
        END IF;
        IF NEW.received_at IS NOT NULL THEN
            PERFORM scoring.refuse_past_row();
        END IF;
        NEW.is_history := false;
        NEW.is_control := false;
        NEW.unscored_reason := NULL;
        NEW.shadow_version := NULL;
        NEW.shadow_probability := NULL;
        NEW.shadow_feature_values := NULL;
        NEW.shadow_error := NULL;
        NEW.reason_codes := NULL;
        NEW.features_caveat := scoring.lock_user(NEW.user_id /* for each serialized entity: , {new_key} */);
    END IF;
    NEW.received_at := clock_timestamp();
    IF NEW.occurred_at IS NULL THEN
        NEW.occurred_at := NEW.received_at;
    ELSIF NEW.occurred_at NOT BETWEEN timestamptz '1970-01-01 00:00:00+00' AND NEW.received_at + interval '24 hours' THEN
        PERFORM scoring.check_transaction(NEW.occurred_at);
    END IF;

    BEGIN
        d := scoring.decide_transaction(
            ROW(NEW.user_id, NEW.amount, NEW.occurred_at /* for each column: , NEW.{name} */)::scoring.scoring_request
        );
    EXCEPTION
        -- A payment is never lost because its score failed; the row states why it has none.
        WHEN OTHERS THEN
            v_sqlstate := SQLSTATE;
            v_message := SQLERRM;
    END;
    IF (d.last_occurred_at <= NEW.occurred_at AND NEW.features_caveat IS NULL) IS NOT TRUE THEN
        d := scoring.continue_totals(d, NEW.user_id, NEW.occurred_at, NEW.features_caveat IS NULL);
    END IF;
    NEW.user_txns_before := d.txns_through_last;
    NEW.user_amount_before := d.amount_through_last;
    NEW.user_amount_squares_before := d.amount_squares_through_last;

    IF d.fraud_probability BETWEEN 0 AND 1 THEN
        NEW.fraud_probability := d.fraud_probability;
        NEW.model_version := d.model_version;
        NEW.feature_values := d.feature_values;
        /* for each reference column: NEW.{name} := d.{name}; */
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
                ROW(NEW.user_id, NEW.amount, NEW.occurred_at /* for each column: , NEW.{name} */)::scoring.scoring_request, d
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
    /* for each reference column: NEW.{name} := NULL; */
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
