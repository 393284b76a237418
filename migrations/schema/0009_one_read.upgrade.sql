-- One read of the user's rows for each INSERT: the features and the running totals go on from the same last row.

-- What an INSERT needs to know: the decision, and the user's last row, which the features are reckoned from anyway
-- and the new row's running totals go on from.
CREATE TYPE scoring.insert_decision AS (
    fraud_probability double precision,
    is_fraud boolean,
    model_version text,
    feature_values real[],
    -- Whether the other of champion and challenger is asked as well.
    has_second_opinion boolean,
    -- Not true: nobody looked, and the following are NULL. Otherwise they are NULL when the user has no row, and the
    -- totals also when that row has none.
    knows_last_row boolean,
    last_at timestamptz,
    txns_with_last bigint,
    amount_with_last numeric,
    amount_squares_with_last numeric
);

-- The facade that the trigger calls, as it is before any model, and after models that know only score_candidate: the
-- decision is that one's, and the trigger looks up the user's last row itself. Revisions of models whose feature
-- function finds that row on its way replace the body.
CREATE OR REPLACE FUNCTION scoring.decide_insert(
    p_user_id bigint,
    p_amount numeric,
    p_merchant_id bigint,
    p_location text,
    p_occurred_at timestamptz
)
RETURNS scoring.insert_decision
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    d scoring.decision := scoring.score_candidate(p_user_id, p_amount, p_merchant_id, p_location, p_occurred_at);
    v scoring.insert_decision;
BEGIN
    v.fraud_probability := d.fraud_probability;
    v.is_fraud := d.is_fraud;
    v.model_version := d.model_version;
    v.feature_values := d.feature_values;
    v.has_second_opinion := EXISTS (SELECT FROM scoring.models AS m WHERE m.state = 'challenger');
    RETURN v;
END
$$;

REVOKE ALL ON FUNCTION scoring.decide_insert(bigint, numeric, bigint, text, timestamptz) FROM public;

-- Guards the loading of history: a row that says it is history does not fire score_on_insert. Anybody can set
-- rowguard.load_history, so the guard asks who inserts; as the caller, which a function with its owner's rights
-- could not. The right to put triggers on the table is its owner's, and is asked for quickly. Who is not loading
-- history gets the mark taken away, and score_on_insert, which comes after in the order of names, decides the row
-- as any other.
CREATE OR REPLACE FUNCTION scoring.keep_history_undecided()
RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('rowguard.load_history', true) = 'on' THEN
        IF NOT has_table_privilege(TG_RELID, 'TRIGGER') THEN
            RAISE EXCEPTION 'only the owner of % may load history', TG_TABLE_NAME
                USING ERRCODE = 'insufficient_privilege';
        END IF;
    ELSE
        NEW.is_history := false;
    END IF;
    RETURN NEW;
END
$$;

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

-- A row that arrived late shifts the running totals of the rows after it. A few of them are mended at once, so that
-- the user's next read is quick again; many are left to rebuild_totals, as an INSERT must not wait for that.
-- AFTER the row is written: with ON CONFLICT DO NOTHING the BEFORE trigger sees rows that then are none.
-- Nor does it wait for rows that the owner or a rescoring holds, or fail because of what goes wrong here: without
-- totals the row is as good, and only read more slowly.
CREATE OR REPLACE FUNCTION scoring.fold_late_row()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_most CONSTANT bigint := 64;
    v_from timestamptz;
    v_shifted bigint;
    v_locked bigint;
    v_budget interval;
BEGIN
    -- Loading ends with settle_totals. Without the lock (it waited too long for it), or on an old snapshot, it may not see
    -- what it would shift.
    IF NEW.is_history
        OR current_setting('transaction_isolation') <> 'read committed'
        OR NOT pg_try_advisory_xact_lock(7265, hashint8(NEW.user_id) & 4095)
    THEN
        RETURN NULL;
    END IF;
    SELECT e.occurred_at
    INTO v_from
    FROM public.transactions AS e
    WHERE e.user_id = NEW.user_id AND e.user_txns_before IS NULL
    ORDER BY e.occurred_at
    LIMIT 1;
    v_shifted := (
        SELECT count(*)
        FROM (
            SELECT
            FROM public.transactions AS e
            WHERE e.user_id = NEW.user_id AND e.occurred_at >= v_from
            LIMIT v_most + 1
        ) AS shifted
    );
    IF v_shifted NOT BETWEEN 1 AND v_most THEN
        RETURN NULL;
    END IF;
    BEGIN
        SELECT count(*)
        INTO v_locked
        FROM (
            SELECT
            FROM public.transactions AS e
            WHERE e.user_id = NEW.user_id AND e.occurred_at >= v_from
            FOR NO KEY UPDATE SKIP LOCKED
        ) AS locked;
        IF v_locked = v_shifted THEN
            PERFORM scoring.rebuild_totals(NEW.user_id);
        END IF;
    EXCEPTION
        WHEN query_canceled THEN
            -- Its time is used up: the row stays. One that somebody cancels ends, as they wish.
            v_budget := current_setting('statement_timeout')::interval;
            IF v_budget = interval '0' OR clock_timestamp() - statement_timestamp() < v_budget THEN
                RAISE;
            END IF;
        WHEN OTHERS THEN
            RAISE WARNING 'running totals of user % are left to the nightly build: %', NEW.user_id, SQLERRM;
    END;
    RETURN NULL;
END
$$;

-- The second opinion as it is without a challenger: none. The revision that deploys a challenger replaces the
-- body with one that puts the other model's score on the row; the trigger itself stays, because creating one
-- would make every insert wait for the oldest open transaction. Fired only when score_on_insert asks for it.
-- A standing challenger's stays; of loaded rows, which call it from now on, it leaves what they brought along.
DO $do$
BEGIN
    IF NOT EXISTS (SELECT FROM scoring.models AS m WHERE m.state = 'challenger') THEN
        CREATE OR REPLACE FUNCTION scoring.shadow_on_insert()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE
        SET search_path = pg_catalog, pg_temp
        AS $$
BEGIN
    IF NEW.shadow_version = '' THEN -- the mark; a loaded row keeps what it brought along
        NEW.shadow_version := NULL;
    END IF;
    RETURN NEW;
END
$$;
    ELSE
        EXECUTE replace(
            pg_catalog.pg_get_functiondef('scoring.shadow_on_insert()'::regprocedure),
            E'BEGIN\n    NEW.is_let_through := false;\n',
            E'BEGIN\n    IF NEW.shadow_version <> \'\' THEN\n        RETURN NEW; -- loaded, with what was said then\n'
            || E'    END IF;\n    NEW.is_let_through := false;\n'
        );
    END IF;
END
$do$;

-- Distributes the tables by user_id where Citus is installed; elsewhere it does nothing. Safe to repeat: what is
-- distributed already is left alone. p_citus names the schema of the extension's functions and of its catalog.
CREATE OR REPLACE FUNCTION scoring.distribute(p_citus text DEFAULT 'pg_catalog')
RETURNS text[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_table text;
    v_done text[] := '{}';
    v_is_done boolean;
BEGIN
    IF to_regproc(format('%I.create_distributed_table', p_citus)) IS NULL THEN
        RETURN v_done;
    END IF;
    -- The scoring trigger reads rows of its own user alone, and those lie on the same shard.
    PERFORM set_config('citus.enable_unsafe_triggers', 'on', true);
    -- Read on every node, small, and written rarely.
    FOREACH v_table IN ARRAY ARRAY['scoring.settings', 'scoring.models', 'scoring.let_through_shares'] LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I.pg_dist_partition WHERE logicalrelid = %L::regclass)', p_citus, v_table)
        INTO v_is_done;
        IF NOT v_is_done THEN
            EXECUTE format('SELECT %I.create_reference_table(%L::regclass)', p_citus, v_table);
            v_done := v_done || v_table;
        END IF;
    END LOOP;
    EXECUTE format(
        'SELECT EXISTS (SELECT FROM %I.pg_dist_partition WHERE logicalrelid = %L::regclass)', p_citus, 'public.transactions'
    )
    INTO v_is_done;
    IF NOT v_is_done THEN
        -- A local table may not refer to a distributed one, not even for a moment.
        ALTER TABLE public.fraud_labels DROP CONSTRAINT fraud_labels_transaction_fkey;
        ALTER TABLE scoring.rescored_transactions DROP CONSTRAINT rescored_transactions_transaction_fkey;
        EXECUTE format('SELECT %I.create_distributed_table(%L::regclass, %L)', p_citus, 'public.transactions', 'user_id');
        v_done := v_done || 'public.transactions'::text;
    END IF;
    FOREACH v_table IN ARRAY ARRAY[
        'public.fraud_labels', 'public.users', 'scoring.user_home_history', 'scoring.rescored_transactions'
    ] LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I.pg_dist_partition WHERE logicalrelid = %L::regclass)', p_citus, v_table)
        INTO v_is_done;
        IF NOT v_is_done THEN
            EXECUTE format(
                'SELECT %I.create_distributed_table(%L::regclass, %L, colocate_with => %L)', p_citus, v_table, 'user_id',
                'public.transactions'
            );
            v_done := v_done || v_table;
        END IF;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conname = 'fraud_labels_transaction_fkey') THEN
        ALTER TABLE public.fraud_labels ADD CONSTRAINT fraud_labels_transaction_fkey
        FOREIGN KEY (user_id, transaction_id)
        REFERENCES public.transactions (user_id, transaction_id) ON DELETE CASCADE;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conname = 'rescored_transactions_transaction_fkey') THEN
        ALTER TABLE scoring.rescored_transactions ADD CONSTRAINT rescored_transactions_transaction_fkey
        FOREIGN KEY (user_id, transaction_id)
        REFERENCES public.transactions (user_id, transaction_id) ON DELETE CASCADE;
    END IF;
    RETURN v_done;
END
$$;

-- Runs the champion once, so that a connection's first client does not wait while PostgreSQL reads and plans the
-- functions: poolers and pools call it on connecting. Answers the version, NULL before any model is deployed. User
-- 0 stands for nobody, who was never anywhere: so the look for an earlier visit is planned as well. Whatever goes
-- wrong, connecting goes on.
CREATE OR REPLACE FUNCTION public.warm_scoring()
RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_decision scoring.decision;
    v_insert scoring.insert_decision;
BEGIN
    v_insert := scoring.decide_insert(0, 1, 0, '', clock_timestamp());
    v_decision := scoring.score_basic(1, NULL, NULL, NULL);
    v_decision := scoring.score_candidate(0, 1, 0, '', clock_timestamp());
    RETURN v_decision.model_version;
EXCEPTION
    WHEN OTHERS THEN
        RAISE DEBUG 'scoring is not warm: %', SQLERRM;
        RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER score_on_insert
BEFORE INSERT ON public.transactions
FOR EACH ROW
WHEN (NEW.is_history IS NOT TRUE)
EXECUTE FUNCTION scoring.score_on_insert();

CREATE OR REPLACE TRIGGER fold_late_row
AFTER INSERT ON public.transactions
FOR EACH ROW
WHEN (NEW.user_txns_before IS NULL)
EXECUTE FUNCTION scoring.fold_late_row();

CREATE OR REPLACE TRIGGER shadow_on_insert
BEFORE INSERT ON public.transactions
FOR EACH ROW
WHEN (NEW.shadow_version IS NOT NULL)
EXECUTE FUNCTION scoring.shadow_on_insert();

-- From once per statement to the rows that say they are history.
DROP TRIGGER keep_history_undecided ON public.transactions;

CREATE TRIGGER keep_history_undecided
BEFORE INSERT ON public.transactions
FOR EACH ROW
WHEN (NEW.is_history)
EXECUTE FUNCTION scoring.keep_history_undecided();

-- score_on_insert does what this did.
DROP TRIGGER spare_on_insert ON public.transactions;

DROP FUNCTION scoring.spare_on_insert();
