-- One row per evaluation of a candidate by the gates: what was measured, and whether it was overruled.
CREATE SEQUENCE scoring.gate_reports_report_id_seq AS bigint;

CREATE TABLE scoring.gate_reports (
    report_id bigint NOT NULL DEFAULT nextval('scoring.gate_reports_report_id_seq'::regclass),
    version text NOT NULL,
    -- The champion that it was compared with; NULL before the first.
    champion text,
    evaluated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    evaluated_by text NOT NULL DEFAULT session_user,
    is_passed boolean NOT NULL,
    -- Deployed although a gate rejected it.
    is_forced boolean NOT NULL DEFAULT false,
    reasons text[] NOT NULL,
    details jsonb NOT NULL,
    CONSTRAINT gate_reports_pkey PRIMARY KEY (report_id)
);

ALTER SEQUENCE scoring.gate_reports_report_id_seq OWNED BY scoring.gate_reports.report_id;

CREATE INDEX gate_reports_version_idx ON scoring.gate_reports (version, report_id);
