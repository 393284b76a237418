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
