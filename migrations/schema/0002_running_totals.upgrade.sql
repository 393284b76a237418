-- Frozen: what this revision changed. Running totals of each user on the rows themselves, so that the velocity
-- read no longer depends on how many rows a window holds. Rows that are there already get theirs from
-- `rowguard migrate`; until then their users' features are read row by row, as before.

ALTER TABLE public.transactions
ADD COLUMN user_txns_before bigint,
ADD COLUMN user_amount_before numeric,
ADD COLUMN user_amount_squares_before numeric;

-- The velocity read: the user's last row, and the first row of each window. Everything it needs stands in the
-- index, as rows of one user lie scattered over the table.
CREATE INDEX transactions_user_totals_idx ON public.transactions (user_id, occurred_at, user_txns_before)
INCLUDE (amount, user_amount_before, user_amount_squares_before);

-- Rows whose totals are not known yet: of most users there is none.
CREATE INDEX transactions_user_untotalled_idx ON public.transactions (user_id, occurred_at)
WHERE user_txns_before IS NULL;

-- When the user was last at this location.
CREATE INDEX transactions_user_location_idx ON public.transactions (user_id, location, occurred_at)
WHERE location IS NOT NULL;

DROP INDEX public.transactions_user_occurred_idx;

-- Decides a row before it is written: lock the user, stamp the arrival, read velocity, score.
--
-- The lock comes before the read, so that concurrent inserts of one user see each other; it is held to the
-- end of the transaction (a session lock would leak through PgBouncer). The arrival is stamped after the
-- lock, so that per user the order of arrival is the order in which the rows became visible.
-- The running totals go on from the user's last row, which nobody can change under the lock. A row that is late,
-- or whose transaction may not see the last row, gets none; fold_late_row and rebuild_totals see to it later.
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
    v_last_at timestamptz;
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

    SELECT
        e.occurred_at,
        e.user_txns_before + 1,
        e.user_amount_before + e.amount,
        e.user_amount_squares_before + e.amount * e.amount
    INTO v_last_at, NEW.user_txns_before, NEW.user_amount_before, NEW.user_amount_squares_before
    FROM public.transactions AS e
    WHERE e.user_id = NEW.user_id
    ORDER BY e.occurred_at DESC, e.user_txns_before DESC
    LIMIT 1;
    IF current_setting('transaction_isolation') <> 'read committed' OR v_last_at > NEW.occurred_at THEN
        NEW.user_txns_before := NULL;
        NEW.user_amount_before := NULL;
        NEW.user_amount_squares_before := NULL;
    ELSIF v_last_at IS NULL THEN
        NEW.user_txns_before := 0;
        NEW.user_amount_before := 0;
        NEW.user_amount_squares_before := 0;
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

-- Reckons a user's running totals from the row before the first one without any; answers how many rows it wrote.
-- The caller holds the user's lock, or no one inserts.
CREATE OR REPLACE FUNCTION scoring.rebuild_totals(p_user_id bigint)
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_from timestamptz;
    v_txns bigint := 0;
    v_amount numeric := 0;
    v_squares numeric := 0;
    v_rows bigint;
BEGIN
    SELECT e.occurred_at
    INTO v_from
    FROM public.transactions AS e
    WHERE e.user_id = p_user_id AND e.user_txns_before IS NULL
    ORDER BY e.occurred_at
    LIMIT 1;
    IF v_from IS NULL THEN
        RETURN 0;
    END IF;
    -- Rows of that instant are put in order anew: of loaded history by their ids, otherwise by arrival.
    SELECT
        e.user_txns_before + 1,
        e.user_amount_before + e.amount,
        e.user_amount_squares_before + e.amount * e.amount
    INTO v_txns, v_amount, v_squares
    FROM public.transactions AS e
    WHERE e.user_id = p_user_id AND e.occurred_at < v_from
    ORDER BY e.occurred_at DESC, e.user_txns_before DESC
    LIMIT 1;
    UPDATE public.transactions AS t
    SET
        user_txns_before = coalesce(v_txns, 0) + n.txns,
        user_amount_before = coalesce(v_amount, 0) + n.amount,
        user_amount_squares_before = coalesce(v_squares, 0) + n.squares
    FROM (
        SELECT
            e.transaction_id,
            count(*) OVER before AS txns,
            coalesce(sum(e.amount) OVER before, 0) AS amount,
            coalesce(sum(e.amount * e.amount) OVER before, 0) AS squares
        FROM public.transactions AS e
        WHERE e.user_id = p_user_id AND e.occurred_at >= v_from
        WINDOW before AS (
            ORDER BY e.occurred_at, e.received_at, e.transaction_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
    ) AS n
    WHERE t.user_id = p_user_id AND t.transaction_id = n.transaction_id;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    RETURN v_rows;
END
$$;

-- Reckons the running totals of these users under their locks, which are held to the end of the transaction: call it
-- with few users at a time. In the order of the locks, so that two calls wait for each other and do not deadlock.
CREATE OR REPLACE FUNCTION scoring.settle_totals(p_user_ids bigint[])
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_user_id bigint;
    v_rows bigint := 0;
BEGIN
    FOR v_user_id IN
        SELECT u.user_id
        FROM unnest(p_user_ids) AS u (user_id)
        ORDER BY hashint8(u.user_id) & 4095, u.user_id
    LOOP
        PERFORM pg_advisory_xact_lock(7265, hashint8(v_user_id) & 4095);
        v_rows := v_rows + scoring.rebuild_totals(v_user_id);
    END LOOP;
    RETURN v_rows;
END
$$;

-- A row that arrived late shifts the running totals of the rows after it. A few of them are mended at once, so that
-- the user's next read is quick again; many are left to rebuild_totals, as an INSERT must not wait for that.
-- AFTER the row is written: with ON CONFLICT DO NOTHING the BEFORE trigger sees rows that then are none.
CREATE OR REPLACE FUNCTION scoring.fold_late_row()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_most CONSTANT bigint := 64;
BEGIN
    -- Without the lock (it waited too long for it), or on an old snapshot, it may not see what it would shift.
    IF current_setting('transaction_isolation') <> 'read committed'
        OR NOT pg_try_advisory_xact_lock(7265, hashint8(NEW.user_id) & 4095)
    THEN
        RETURN NULL;
    END IF;
    IF (
        SELECT count(*) <= v_most
        FROM (
            SELECT
            FROM public.transactions AS e
            WHERE e.user_id = NEW.user_id
                AND e.occurred_at >= (
                    SELECT n.occurred_at
                    FROM public.transactions AS n
                    WHERE n.user_id = NEW.user_id AND n.user_txns_before IS NULL
                    ORDER BY n.occurred_at
                    LIMIT 1
                )
            LIMIT v_most + 1
        ) AS shifted
    ) THEN
        PERFORM scoring.rebuild_totals(NEW.user_id);
    END IF;
    RETURN NULL;
END
$$;

-- When the owner changes or deletes a row, the totals behind it are wrong: the user's first row is marked as not
-- known, and the features are read row by row until rebuild_totals has been there.
-- Deleting a user's oldest rows marks nothing, as no window's difference reaches before the first row that is left;
-- unless the row was such a mark itself, which then passes on.
CREATE OR REPLACE FUNCTION scoring.forget_totals()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_user_ids bigint[] := ARRAY[OLD.user_id];
    v_user_id bigint;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        v_user_ids := ARRAY[OLD.user_id, NEW.user_id];
    ELSIF OLD.user_txns_before IS NOT NULL
        AND NOT EXISTS (
            SELECT
            FROM public.transactions AS e
            WHERE e.user_id = OLD.user_id AND e.occurred_at <= OLD.occurred_at
        )
    THEN
        RETURN NULL;
    END IF;
    FOREACH v_user_id IN ARRAY v_user_ids LOOP
        UPDATE public.transactions AS t
        SET user_txns_before = NULL, user_amount_before = NULL, user_amount_squares_before = NULL
        FROM (
            SELECT e.transaction_id
            FROM public.transactions AS e
            WHERE e.user_id = v_user_id
            ORDER BY e.occurred_at, e.user_txns_before
            LIMIT 1
        ) AS first_row
        WHERE t.user_id = v_user_id
            AND t.transaction_id = first_row.transaction_id
            AND t.user_txns_before IS NOT NULL;
    END LOOP;
    RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION scoring.rebuild_totals(bigint) FROM public;

REVOKE ALL ON FUNCTION scoring.settle_totals(bigint[]) FROM public;

REVOKE ALL ON FUNCTION scoring.fold_late_row() FROM public;

REVOKE ALL ON FUNCTION scoring.forget_totals() FROM public;

-- Only rows that got no running totals pay for this one.
CREATE TRIGGER fold_late_row
AFTER INSERT ON public.transactions
FOR EACH ROW
WHEN (
    NEW.user_txns_before IS NULL
    AND current_setting('rowguard.load_history', true) IS DISTINCT FROM 'on'
)
EXECUTE FUNCTION scoring.fold_late_row();

CREATE TRIGGER forget_totals_on_delete
AFTER DELETE ON public.transactions
FOR EACH ROW
EXECUTE FUNCTION scoring.forget_totals();

CREATE TRIGGER forget_totals_on_update
AFTER UPDATE OF user_id, occurred_at, amount ON public.transactions
FOR EACH ROW
WHEN ((OLD.user_id, OLD.occurred_at, OLD.amount) IS DISTINCT FROM (NEW.user_id, NEW.occurred_at, NEW.amount))
EXECUTE FUNCTION scoring.forget_totals();
