-- One row per archive run: what was deleted, and from when on every row's longest window is complete.
CREATE SEQUENCE scoring.retention_runs_run_id_seq AS bigint;

CREATE TABLE scoring.retention_runs (
    run_id bigint NOT NULL DEFAULT nextval('scoring.retention_runs_run_id_seq'::regclass),
    cutoff timestamptz NOT NULL,
    complete_from timestamptz NOT NULL,
    transactions bigint NOT NULL,
    labels bigint NOT NULL,
    archives text[] NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    CONSTRAINT retention_runs_pkey PRIMARY KEY (run_id)
);

ALTER SEQUENCE scoring.retention_runs_run_id_seq OWNED BY scoring.retention_runs.run_id;
