-- The failure policy: a setting, the reason on the row or a refusal, and a bounded wait for locks.
-- One row: what happens to a transaction that cannot be scored, and how long scoring may wait for a lock.
CREATE TABLE scoring.settings (
    is_only boolean NOT NULL DEFAULT true,
    -- accept: the row is stored without a decision, with its reason. refuse: the INSERT fails.
    on_failure text NOT NULL DEFAULT 'accept',
    lock_timeout_ms bigint NOT NULL DEFAULT 5000,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL DEFAULT session_user,
    CONSTRAINT settings_pkey PRIMARY KEY (is_only),
    CONSTRAINT settings_one_row CHECK (is_only),
    CONSTRAINT settings_on_failure_known CHECK (on_failure IN ('accept', 'refuse')),
    CONSTRAINT settings_lock_timeout_range CHECK (lock_timeout_ms BETWEEN 1 AND 600000)
);

INSERT INTO scoring.settings (is_only) VALUES (true);

-- One row per run of retention: what went, and from when on the windows of what stayed are whole.
CREATE SEQUENCE scoring.retention_runs_run_id_seq AS bigint;

CREATE TABLE scoring.retention_runs (
    run_id bigint NOT NULL DEFAULT nextval('scoring.retention_runs_run_id_seq'::regclass),
    cut timestamptz NOT NULL,
    complete_from timestamptz NOT NULL,
    transactions bigint NOT NULL,
    labels bigint NOT NULL,
    archives text[] NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    CONSTRAINT retention_runs_pkey PRIMARY KEY (run_id)
);

ALTER SEQUENCE scoring.retention_runs_run_id_seq OWNED BY scoring.retention_runs.run_id;

-- Live rows without a decision, for the list and for rescoring; a row that is decided never enters it.
CREATE INDEX transactions_unscored_idx ON public.transactions (user_id, received_at)
WHERE model_version IS NULL AND NOT is_history;

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

-- Live rows without a decision, and why; rowguard rescore decides them later.
CREATE VIEW public.unscored_transactions AS
SELECT
    t.user_id,
    t.transaction_id,
    t.occurred_at,
    t.received_at,
    t.amount,
    coalesce(t.unscored_reason, 'no model was deployed') AS reason
FROM public.transactions AS t
WHERE t.model_version IS NULL AND NOT t.is_history;

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
        -- Citus has no statement-level triggers; a row-level one asks the same of every row that is loaded.
        DROP TRIGGER IF EXISTS keep_history_undecided ON public.transactions;
        CREATE TRIGGER keep_history_undecided
        BEFORE INSERT ON public.transactions
        FOR EACH ROW
        WHEN (current_setting('rowguard.load_history', true) IS NOT DISTINCT FROM 'on')
        EXECUTE FUNCTION scoring.keep_history_undecided();
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

-- Guards the loading of history, which does not fire the scoring trigger: only the owner may load.
CREATE OR REPLACE FUNCTION scoring.keep_history_undecided()
RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT pg_has_role(current_user, (SELECT c.relowner FROM pg_class AS c WHERE c.oid = TG_RELID), 'USAGE') THEN
        RAISE EXCEPTION 'only the owner of % may load history', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW; -- nothing for a statement, the row for a row
END
$$;

-- A score from four features; every other feature is missing to the model, and so is NaN.
CREATE OR REPLACE FUNCTION public.score_transaction(
    transaction_amount double precision,
    time_since_last_txn double precision,
    num_txns_last_hour integer,
    user_location_match boolean
)
RETURNS public.fraud_score
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- The model reads features as real, whose range is smaller; too large is refused, too small is nothing.
    IF NOT (abs(transaction_amount) < 3.4e38 OR transaction_amount = 'NaN') THEN
        RAISE EXCEPTION 'transaction_amount % is out of range', transaction_amount
            USING ERRCODE = 'numeric_value_out_of_range';
    END IF;
    IF NOT (abs(time_since_last_txn) < 3.4e38 OR time_since_last_txn = 'NaN') THEN
        RAISE EXCEPTION 'time_since_last_txn % is out of range', time_since_last_txn
            USING ERRCODE = 'numeric_value_out_of_range';
    END IF;
    RETURN scoring.to_fraud_score(
        scoring.score_basic(
            CASE WHEN abs(transaction_amount) < 1e-45 THEN 0 ELSE transaction_amount END,
            CASE WHEN abs(time_since_last_txn) < 1e-45 THEN 0 ELSE time_since_last_txn END,
            num_txns_last_hour,
            user_location_match
        )
    );
END
$$;

REVOKE ALL ON FUNCTION scoring.decide_failure(text, text) FROM public;

REVOKE ALL ON FUNCTION scoring.set_policy(text, bigint) FROM public;

REVOKE ALL ON FUNCTION scoring.distribute(text) FROM public;

GRANT SELECT ON public.unscored_transactions
TO rowguard_app, rowguard_api, rowguard_trainer, rowguard_readonly;

GRANT SELECT ON scoring.settings, scoring.retention_runs TO rowguard_trainer, rowguard_readonly;

-- Where Citus is installed the tables are distributed now; elsewhere this does nothing.
SELECT scoring.distribute();
