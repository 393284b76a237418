-- Challenger, gates with figures, rollback by steps, random let-through, what monitoring compares with.
ALTER TABLE public.transactions
ADD COLUMN is_let_through boolean NOT NULL DEFAULT false,
ADD COLUMN shadow_version text,
ADD COLUMN shadow_probability double precision,
ADD COLUMN shadow_feature_values real[],
ADD COLUMN shadow_error text;

CREATE INDEX transactions_received_idx ON public.transactions USING brin (received_at) WITH (autosummarize = on);

ALTER TABLE scoring.models
ADD COLUMN reference jsonb,
ADD COLUMN canary_percent double precision,
ADD CONSTRAINT models_canary_range CHECK (canary_percent BETWEEN 0 AND 100);

CREATE UNIQUE INDEX models_one_challenger_idx ON scoring.models (state)
WHERE state = 'challenger';

ALTER TABLE scoring.model_revisions
ADD COLUMN steps integer NOT NULL DEFAULT 1,
ADD COLUMN challenger text,
DROP CONSTRAINT model_revisions_kind_known,
ADD CONSTRAINT model_revisions_kind_known CHECK (
    kind IN ('deploy', 'promote', 'rollback', 'forward', 'challenge', 'withdraw')
);

-- One row per judgement of a candidate: what was looked at, what it showed, and whether it was overruled.
CREATE SEQUENCE scoring.gate_reports_report_id_seq AS bigint;

CREATE TABLE scoring.gate_reports (
    report_id bigint NOT NULL DEFAULT nextval('scoring.gate_reports_report_id_seq'::regclass),
    version text NOT NULL,
    -- The champion that it was compared with; NULL when there was none.
    champion text,
    judged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    judged_by text NOT NULL DEFAULT session_user,
    is_passed boolean NOT NULL,
    -- Deployed although it was refused.
    is_forced boolean NOT NULL DEFAULT false,
    reasons text[] NOT NULL,
    figures jsonb NOT NULL,
    CONSTRAINT gate_reports_pkey PRIMARY KEY (report_id)
);

ALTER SEQUENCE scoring.gate_reports_report_id_seq OWNED BY scoring.gate_reports.report_id;

CREATE INDEX gate_reports_version_idx ON scoring.gate_reports (version, report_id);

-- One row per setting of the share of alerts that are let through; the newest counts, none means 0.
CREATE TABLE scoring.let_through_shares (
    valid_from timestamptz NOT NULL DEFAULT clock_timestamp(),
    share double precision NOT NULL,
    set_by text NOT NULL DEFAULT session_user,
    CONSTRAINT let_through_shares_pkey PRIMARY KEY (valid_from),
    CONSTRAINT let_through_shares_range CHECK (share BETWEEN 0 AND 1)
);

-- The second opinion as it is without a challenger: none. The revision that deploys a challenger replaces the
-- body with one that puts the other model's score on the row; the trigger itself stays, because creating one
-- would make every insert wait for the oldest open transaction.
CREATE OR REPLACE FUNCTION scoring.shadow_on_insert()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- What a client sends is dropped, not trusted.
    IF NEW.is_let_through IS DISTINCT FROM false
        OR num_nonnulls(
            NEW.shadow_version, NEW.shadow_probability, NEW.shadow_feature_values, NEW.shadow_error
        ) > 0
    THEN
        NEW.is_let_through := false;
        NEW.shadow_version := NULL;
        NEW.shadow_probability := NULL;
        NEW.shadow_feature_values := NULL;
        NEW.shadow_error := NULL;
    END IF;
    RETURN NEW;
END
$$;

-- Lets a random share of the alerts through: what is always stopped is never found out, and the next model would
-- learn nothing about it. The probability stays; fraud_flag, which applications act on, says LEGITIMATE.
CREATE OR REPLACE FUNCTION scoring.spare_on_insert()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF random() < (
        SELECT s.share
        FROM scoring.let_through_shares AS s
        ORDER BY s.valid_from DESC
        LIMIT 1
    ) THEN
        NEW.is_let_through := true;
        NEW.fraud_flag := 'LEGITIMATE';
    END IF;
    RETURN NEW;
END
$$;

REVOKE ALL ON FUNCTION scoring.shadow_on_insert() FROM public;

REVOKE ALL ON FUNCTION scoring.spare_on_insert() FROM public;

-- The following two come after score_on_insert: triggers fire in the order of their names.
CREATE TRIGGER shadow_on_insert
BEFORE INSERT ON public.transactions
FOR EACH ROW
WHEN (current_setting('rowguard.load_history', true) IS DISTINCT FROM 'on')
EXECUTE FUNCTION scoring.shadow_on_insert();

-- Costs nothing on rows that are not flagged.
CREATE TRIGGER spare_on_insert
BEFORE INSERT ON public.transactions
FOR EACH ROW
WHEN (new.fraud_flag = 'FRAUD' AND current_setting('rowguard.load_history', true) IS DISTINCT FROM 'on')
EXECUTE FUNCTION scoring.spare_on_insert();

-- The registry as people read it: one row per model version, newest first.
CREATE OR REPLACE VIEW public.model_versions AS
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
    m.deployed_by,
    m.canary_percent
FROM scoring.models AS m
ORDER BY m.trained_at DESC, m.version DESC;

GRANT SELECT ON scoring.gate_reports, scoring.let_through_shares TO rowguard_trainer, rowguard_readonly;
