-- Back to features that are read row by row.
DROP TRIGGER forget_totals_on_update ON public.transactions;

DROP TRIGGER forget_totals_on_delete ON public.transactions;

DROP TRIGGER fold_late_row ON public.transactions;

DROP FUNCTION scoring.forget_totals();

DROP FUNCTION scoring.fold_late_row();

DROP FUNCTION scoring.settle_totals(bigint[]);

DROP FUNCTION scoring.rebuild_totals(bigint);

-- Decides a row before it is written: lock the user, stamp the arrival, read velocity, score.
--
-- The lock comes before the read, so that concurrent inserts of one user see each other; it is held to the
-- end of the transaction (a session lock would leak through PgBouncer). The arrival is stamped after the
-- lock, so that per user the order of arrival is the order in which the rows became visible.
-- Users share 4,096 locks: a statement that inserts rows of very many users must not fill the server's lock table.
-- SECURITY DEFINER: the inserting role needs no right to read other rows.
--
-- Written for speed where it does not show: PERFORM would run a whole query each time, an expression in IF does
-- not; and the checks are asked again by name only when one of them fails, for the message.
CREATE OR REPLACE FUNCTION scoring.score_on_insert()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_decision scoring.decision;
BEGIN
    IF pg_advisory_xact_lock(7265, hashint8(NEW.user_id) & 4095) IS NULL THEN
        RETURN NEW; -- a row without a user: the table refuses it by name
    END IF;
    NEW.received_at := clock_timestamp();
    IF NEW.occurred_at IS NULL THEN
        NEW.occurred_at := NEW.received_at;
    END IF;
    NEW.is_history := false;
    -- What a client sends for the decision is dropped, not trusted.
    IF num_nonnulls(
        NEW.fraud_flag, NEW.fraud_probability, NEW.model_version, NEW.scored_at, NEW.feature_values,
        NEW.unscored_reason
    ) > 0 THEN
        NEW.fraud_flag := NULL;
        NEW.fraud_probability := NULL;
        NEW.model_version := NULL;
        NEW.scored_at := NULL;
        NEW.feature_values := NULL;
        NEW.unscored_reason := NULL;
    END IF;
    IF (
        NEW.amount >= 0
        AND NEW.amount < 1e12
        AND min_scale(NEW.amount) <= 4
        AND NEW.occurred_at >= timestamptz '1970-01-01 00:00:00+00'
        AND NEW.occurred_at <= NEW.received_at + interval '24 hours'
    ) IS NOT TRUE THEN
        PERFORM scoring.check_transaction(NEW.amount, NEW.occurred_at);
    END IF;

    BEGIN
        v_decision := scoring.score_candidate(
            NEW.user_id, NEW.amount, NEW.merchant_id, NEW.location, NEW.occurred_at
        );
    EXCEPTION
        -- A payment is never lost because its score failed; the row says why it has none.
        WHEN OTHERS THEN
            NEW.unscored_reason := left(SQLSTATE || ': ' || SQLERRM, 500);
            RAISE WARNING 'transaction of user % is stored without a decision: %', NEW.user_id, SQLERRM;
            RETURN NEW;
    END;

    IF v_decision.model_version IS NOT NULL THEN
        NEW.fraud_probability := v_decision.fraud_probability;
        NEW.fraud_flag := CASE WHEN v_decision.is_fraud THEN 'FRAUD' ELSE 'LEGITIMATE' END;
        NEW.model_version := v_decision.model_version;
        NEW.feature_values := v_decision.feature_values;
        NEW.scored_at := NEW.received_at;
    END IF;
    RETURN NEW;
END
$$;

-- The trigger's velocity read: one range of this index per user. The columns that features aggregate stand in
-- it, so that older rows, which lie scattered over as many pages, need not be visited.
CREATE INDEX transactions_user_occurred_idx ON public.transactions (user_id, occurred_at)
INCLUDE (amount, amount_units, merchant_id, location);

DROP INDEX public.transactions_user_location_idx;

DROP INDEX public.transactions_user_merchant_idx;

DROP INDEX public.transactions_user_untotalled_idx;

DROP INDEX public.transactions_user_totals_idx;

-- The feature functions that read the totals go with them; a model of their list is then deployed anew.
ALTER TABLE public.transactions
DROP COLUMN user_txns_before CASCADE,
DROP COLUMN user_amount_before CASCADE,
DROP COLUMN user_amount_squares_before CASCADE;
