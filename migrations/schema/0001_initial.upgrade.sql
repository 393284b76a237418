-- Frozen: what the schema was at this revision. Later changes are revisions of their own.

-- Group roles. Nobody logs in as one of them; logins are members. Roles belong to the whole server, so
-- several databases on it share them and a second database finds them already there.
DO $$
DECLARE
    v_role text;
BEGIN
    FOREACH v_role IN ARRAY ARRAY['rowguard_app', 'rowguard_api', 'rowguard_trainer', 'rowguard_readonly'] LOOP
        BEGIN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', v_role);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                RAISE DEBUG 'role % is already there', v_role;
        END;
    END LOOP;
END
$$;

-- scoring: rowguard's internals. features: what dbt builds.
CREATE SCHEMA scoring;

-- dbt makes it too, when it is run before the migrations.
CREATE SCHEMA IF NOT EXISTS features;

-- One row per user: an optional profile. A user without one is scored with an unknown home.
CREATE TABLE public.users (
    user_id bigint NOT NULL,
    home_location text CONSTRAINT users_home_location_length CHECK (length(home_location) <= 64),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT users_pkey PRIMARY KEY (user_id)
);

-- One row per user and change of home: what the trigger saw at any past time, for the training set.
CREATE TABLE scoring.user_home_history (
    user_id bigint NOT NULL,
    valid_from timestamptz NOT NULL,
    home_location text,
    CONSTRAINT user_home_history_pkey PRIMARY KEY (user_id, valid_from)
);

-- One row per transaction. Every key carries user_id, so that the table can be distributed by it.
CREATE SEQUENCE public.transactions_transaction_id_seq AS bigint;

CREATE TABLE public.transactions (
    user_id bigint NOT NULL,
    transaction_id bigint NOT NULL DEFAULT nextval('public.transactions_transaction_id_seq'::regclass),
    -- When it happened. Left out on INSERT, the trigger sets it after it holds the user's lock.
    occurred_at timestamptz NOT NULL,
    -- When the database got it: per user, the order of arrival. Set by the trigger or by the loader.
    received_at timestamptz NOT NULL,
    -- Loaded afterwards and never decided at its time; features of such rows go by event time.
    is_history boolean NOT NULL DEFAULT false,
    amount numeric NOT NULL,
    -- The amount in ten-thousandths as a whole number: sums of it are exact in any order (below 2^53).
    amount_units double precision GENERATED ALWAYS AS ((amount * 10000)::double precision) STORED,
    merchant_id bigint,
    location text,
    idempotency_key text,
    -- The decision. Set by the trigger alone.
    fraud_flag text,
    fraud_probability double precision,
    model_version text,
    scored_at timestamptz,
    feature_values real[],
    -- Why the row has no decision although a model is deployed.
    unscored_reason text,
    CONSTRAINT transactions_pkey PRIMARY KEY (user_id, transaction_id),
    CONSTRAINT transactions_amount_range CHECK (amount >= 0 AND amount < 1e12),
    CONSTRAINT transactions_amount_decimals CHECK (min_scale(amount) <= 4),
    CONSTRAINT transactions_location_length CHECK (length(location) <= 64),
    CONSTRAINT transactions_idempotency_key_length CHECK (length(idempotency_key) BETWEEN 1 AND 255)
);

ALTER SEQUENCE public.transactions_transaction_id_seq OWNED BY public.transactions.transaction_id;

-- The trigger's velocity read: one range of this index per user. The columns that features aggregate stand in
-- it, so that older rows, which lie scattered over as many pages, need not be visited.
CREATE INDEX transactions_user_occurred_idx ON public.transactions (user_id, occurred_at)
INCLUDE (amount, amount_units, merchant_id, location);

-- Retries with the same key give one row; per user, as unique constraints must carry user_id.
CREATE UNIQUE INDEX transactions_idempotency_idx ON public.transactions (user_id, idempotency_key)
WHERE idempotency_key IS NOT NULL;

-- One row per finding about a transaction; several rows for one transaction are its history.
CREATE SEQUENCE public.fraud_labels_label_id_seq AS bigint;

CREATE TABLE public.fraud_labels (
    user_id bigint NOT NULL,
    transaction_id bigint NOT NULL,
    label_id bigint NOT NULL DEFAULT nextval('public.fraud_labels_label_id_seq'::regclass),
    is_fraud boolean NOT NULL,
    -- When it became known; the training set uses only what was known at its cut-off.
    labelled_at timestamptz NOT NULL DEFAULT now(),
    source text NOT NULL DEFAULT 'manual',
    CONSTRAINT fraud_labels_pkey PRIMARY KEY (user_id, transaction_id, label_id),
    CONSTRAINT fraud_labels_transaction_fkey FOREIGN KEY (user_id, transaction_id)
    REFERENCES public.transactions (user_id, transaction_id) ON DELETE CASCADE,
    CONSTRAINT fraud_labels_source_length CHECK (length(source) BETWEEN 1 AND 64)
);

ALTER SEQUENCE public.fraud_labels_label_id_seq OWNED BY public.fraud_labels.label_id;

-- One row per model version: the registry. Text and hash of the function stay here, so that lost
-- revision files can be restored from the database.
CREATE TABLE scoring.models (
    version text NOT NULL,
    state text NOT NULL,
    model_kind text NOT NULL,
    layout text NOT NULL,
    function_name text NOT NULL,
    feature_names text[] NOT NULL,
    feature_hash text NOT NULL,
    trained_at timestamptz NOT NULL,
    train_from timestamptz NOT NULL,
    train_to timestamptz NOT NULL,
    label_cutoff timestamptz NOT NULL,
    row_count bigint NOT NULL,
    fraud_count bigint NOT NULL,
    threshold double precision NOT NULL,
    threshold_rule text NOT NULL,
    metrics jsonb NOT NULL,
    tree_count integer NOT NULL,
    node_count integer NOT NULL,
    sql_text text,
    sql_bytes integer NOT NULL,
    sql_sha256 text NOT NULL,
    artifact_sha256 text NOT NULL,
    library_versions jsonb NOT NULL,
    state_reason text,
    deployed_at timestamptz,
    deployed_by text,
    CONSTRAINT models_pkey PRIMARY KEY (version),
    CONSTRAINT models_state_known CHECK (
        state IN ('candidate', 'challenger', 'champion', 'retired', 'refused')
    ),
    CONSTRAINT models_threshold_range CHECK (threshold >= 0)
);

-- At most one champion, whatever goes wrong.
CREATE UNIQUE INDEX models_one_champion_idx ON scoring.models (state)
WHERE state = 'champion';

-- One row per change of a model's state: the full history, written by a trigger on scoring.models.
CREATE SEQUENCE scoring.model_state_changes_change_id_seq AS bigint;

CREATE TABLE scoring.model_state_changes (
    change_id bigint NOT NULL DEFAULT nextval('scoring.model_state_changes_change_id_seq'::regclass),
    version text NOT NULL,
    from_state text,
    to_state text NOT NULL,
    reason text,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_by text NOT NULL DEFAULT session_user,
    CONSTRAINT model_state_changes_pkey PRIMARY KEY (change_id)
);

ALTER SEQUENCE scoring.model_state_changes_change_id_seq OWNED BY scoring.model_state_changes.change_id;

-- One row per generated migration, with its files, so that a lost file can be written again.
CREATE SEQUENCE scoring.model_revisions_position_seq AS bigint;

CREATE TABLE scoring.model_revisions (
    revision text NOT NULL,
    position bigint NOT NULL DEFAULT nextval('scoring.model_revisions_position_seq'::regclass),
    -- deploy puts a new champion on top of the ones before; rollback takes the top one away.
    kind text NOT NULL,
    champion text NOT NULL,
    files jsonb NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT model_revisions_pkey PRIMARY KEY (revision),
    CONSTRAINT model_revisions_kind_known CHECK (kind IN ('deploy', 'rollback'))
);

ALTER SEQUENCE scoring.model_revisions_position_seq OWNED BY scoring.model_revisions.position;

-- What the facade answers: everything that the trigger puts on the row.
CREATE TYPE scoring.decision AS (
    fraud_probability double precision,
    is_fraud boolean,
    model_version text,
    feature_values real[]
);

-- The answer of score_transaction. probability is the confidence in the prediction.
CREATE TYPE public.fraud_score AS (
    prediction integer,
    probability double precision,
    flag text,
    fraud_probability double precision,
    model_version text
);

-- The facade as it is before any model: no decision. Each model revision replaces its body with one that
-- names the model's own feature function and scoring function; callers know only this name.
CREATE OR REPLACE FUNCTION scoring.score_candidate(
    p_user_id bigint,
    p_amount numeric,
    p_merchant_id bigint,
    p_location text,
    p_occurred_at timestamptz
)
RETURNS scoring.decision
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN NULL;
END
$$;

-- The facade for a caller who brings four features and no transaction; as it is before any model.
CREATE OR REPLACE FUNCTION scoring.score_basic(
    p_transaction_amount double precision,
    p_time_since_last_txn double precision,
    p_num_txns_last_hour integer,
    p_user_location_match boolean
)
RETURNS scoring.decision
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN NULL;
END
$$;

-- A decision in the words that callers read; refuses when there is none.
CREATE OR REPLACE FUNCTION scoring.to_fraud_score(p_decision scoring.decision)
RETURNS public.fraud_score
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_decision.model_version IS NULL THEN
        RAISE EXCEPTION 'no model is deployed yet'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Run: rowguard retrain';
    END IF;
    RETURN (
        p_decision.is_fraud::integer,
        CASE
            WHEN p_decision.is_fraud THEN p_decision.fraud_probability
            ELSE 1 - p_decision.fraud_probability
        END,
        CASE WHEN p_decision.is_fraud THEN 'FRAUD' ELSE 'LEGITIMATE' END,
        p_decision.fraud_probability,
        p_decision.model_version
    );
END
$$;

-- Refuses what no transaction can be, with one clear line. The table's constraints say the same of the
-- stored row; this one serves callers who only ask for a score, and times, which no constraint can check.
CREATE OR REPLACE FUNCTION scoring.check_transaction(p_amount numeric, p_occurred_at timestamptz)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT (p_amount >= 0 AND p_amount < 1e12) THEN
        RAISE EXCEPTION 'amount % is not between 0 and 1e12', p_amount USING ERRCODE = 'check_violation';
    END IF;
    IF min_scale(p_amount) > 4 THEN
        RAISE EXCEPTION 'amount % has more than 4 decimals', p_amount USING ERRCODE = 'check_violation';
    END IF;
    IF p_occurred_at > clock_timestamp() + interval '24 hours' THEN
        RAISE EXCEPTION 'occurred_at % is more than a day in the future', p_occurred_at
            USING ERRCODE = 'datetime_field_overflow';
    END IF;
    IF p_occurred_at < timestamptz '1970-01-01 00:00:00+00' THEN
        RAISE EXCEPTION 'occurred_at % is before 1970', p_occurred_at
            USING ERRCODE = 'datetime_field_overflow';
    END IF;
END
$$;

-- A score from four features; every other feature is missing to the model.
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
    RETURN scoring.to_fraud_score(
        scoring.score_basic(transaction_amount, time_since_last_txn, num_txns_last_hour, user_location_match)
    );
END
$$;

-- The answer that an INSERT of this row would get, without inserting it.
CREATE OR REPLACE FUNCTION public.score_transaction(
    user_id bigint,
    amount numeric,
    merchant_id bigint DEFAULT NULL,
    location text DEFAULT NULL,
    occurred_at timestamptz DEFAULT pg_catalog.now()
)
RETURNS public.fraud_score
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF user_id IS NULL OR amount IS NULL THEN
        RAISE EXCEPTION 'user_id and amount are required' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    PERFORM scoring.check_transaction(amount, occurred_at);
    RETURN scoring.to_fraud_score(
        scoring.score_candidate(user_id, amount, merchant_id, location, coalesce(occurred_at, now()))
    );
END
$$;

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
    RETURN NULL;
END
$$;

-- Keeps what a user's home was at any time: the live read takes the current one, training needs the past.
CREATE OR REPLACE FUNCTION scoring.record_home_change()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO scoring.user_home_history AS h (user_id, valid_from, home_location)
        VALUES (OLD.user_id, clock_timestamp(), NULL);
        RETURN NULL;
    END IF;
    INSERT INTO scoring.user_home_history AS h (user_id, valid_from, home_location)
    VALUES (NEW.user_id, clock_timestamp(), NEW.home_location)
    ON CONFLICT (user_id, valid_from) DO UPDATE SET home_location = excluded.home_location;
    RETURN NULL;
END
$$;

-- Writes the history of a model's states; nobody has to remember to.
CREATE OR REPLACE FUNCTION scoring.record_model_state()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO scoring.model_state_changes (version, from_state, to_state, reason)
    VALUES (
        NEW.version,
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END,
        NEW.state,
        NEW.state_reason
    );
    RETURN NULL;
END
$$;

-- Loading history sets rowguard.load_history for its own transaction and so does not fire the scoring.
CREATE TRIGGER score_on_insert
BEFORE INSERT ON public.transactions
FOR EACH ROW
WHEN (current_setting('rowguard.load_history', true) IS DISTINCT FROM 'on')
EXECUTE FUNCTION scoring.score_on_insert();

-- Anybody can set that variable, so the guard asks who loads: once per statement.
CREATE TRIGGER keep_history_undecided
BEFORE INSERT ON public.transactions
FOR EACH STATEMENT
WHEN (current_setting('rowguard.load_history', true) IS NOT DISTINCT FROM 'on')
EXECUTE FUNCTION scoring.keep_history_undecided();

CREATE TRIGGER record_home_insert
AFTER INSERT ON public.users
FOR EACH ROW
EXECUTE FUNCTION scoring.record_home_change();

CREATE TRIGGER record_home_update
AFTER UPDATE ON public.users
FOR EACH ROW
WHEN (OLD.home_location IS DISTINCT FROM NEW.home_location)
EXECUTE FUNCTION scoring.record_home_change();

CREATE TRIGGER record_home_delete
AFTER DELETE ON public.users
FOR EACH ROW
EXECUTE FUNCTION scoring.record_home_change();

CREATE TRIGGER record_model_insert
AFTER INSERT ON scoring.models
FOR EACH ROW
EXECUTE FUNCTION scoring.record_model_state();

CREATE TRIGGER record_model_update
AFTER UPDATE ON scoring.models
FOR EACH ROW
WHEN (OLD.state IS DISTINCT FROM NEW.state)
EXECUTE FUNCTION scoring.record_model_state();

-- The registry as people read it: one row per model version, newest first.
CREATE VIEW public.model_versions AS
SELECT
    m.version,
    m.state,
    m.state_reason,
    m.model_kind,
    m.layout,
    m.trained_at,
    m.train_from,
    m.train_to,
    m.label_cutoff,
    m.row_count,
    m.fraud_count,
    m.threshold,
    m.threshold_rule,
    m.metrics,
    m.tree_count,
    m.node_count,
    m.sql_bytes,
    m.sql_sha256,
    m.artifact_sha256,
    m.feature_names,
    m.feature_hash,
    m.library_versions,
    m.deployed_at,
    m.deployed_by
FROM scoring.models AS m
ORDER BY m.trained_at DESC, m.version DESC;

-- Least privilege: PUBLIC gets nothing, each role what its work needs.
REVOKE ALL ON SCHEMA scoring, features FROM public;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA scoring FROM public;

REVOKE ALL ON FUNCTION public.score_transaction(double precision, double precision, integer, boolean)
FROM public;

REVOKE ALL ON FUNCTION public.score_transaction(bigint, numeric, bigint, text, timestamptz)
FROM public;

-- Applications insert and read. They may name decision columns in an INSERT (the trigger drops the values),
-- but there is no UPDATE and no DELETE.
GRANT INSERT, SELECT ON public.transactions TO rowguard_app, rowguard_api;

GRANT USAGE ON SEQUENCE public.transactions_transaction_id_seq TO rowguard_app, rowguard_api;

GRANT INSERT, SELECT ON public.users TO rowguard_app, rowguard_api;

GRANT UPDATE (home_location, updated_at) ON public.users TO rowguard_app, rowguard_api;

GRANT INSERT, SELECT ON public.fraud_labels TO rowguard_api, rowguard_trainer;

GRANT USAGE ON SEQUENCE public.fraud_labels_label_id_seq TO rowguard_api, rowguard_trainer;

GRANT EXECUTE ON FUNCTION public.score_transaction(double precision, double precision, integer, boolean)
TO rowguard_app, rowguard_api, rowguard_trainer;

GRANT EXECUTE ON FUNCTION public.score_transaction(bigint, numeric, bigint, text, timestamptz)
TO rowguard_app, rowguard_api, rowguard_trainer;

GRANT SELECT ON public.model_versions TO rowguard_app, rowguard_api, rowguard_trainer, rowguard_readonly;

GRANT SELECT ON public.transactions, public.users, public.fraud_labels TO rowguard_trainer, rowguard_readonly;

GRANT USAGE ON SCHEMA scoring, features TO rowguard_trainer, rowguard_readonly;

GRANT SELECT ON scoring.models, scoring.model_state_changes, scoring.model_revisions
TO rowguard_trainer, rowguard_readonly;
