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
