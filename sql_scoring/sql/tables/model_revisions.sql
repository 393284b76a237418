-- One row per generated migration, with its files, so that a lost file can be written again.
CREATE SEQUENCE scoring.model_revisions_position_seq AS bigint;

CREATE TABLE scoring.model_revisions (
    revision text NOT NULL,
    position bigint NOT NULL DEFAULT nextval('scoring.model_revisions_position_seq'::regclass),
    -- deploy and promote put a new champion on top of the ones before; rollback and forward walk along them;
    -- challenge and withdraw leave the champion as it is.
    kind text NOT NULL,
    champion text NOT NULL,
    files jsonb NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    -- How many champions a rollback goes back, or a forward goes forward.
    steps integer NOT NULL DEFAULT 1,
    -- The challenger after the revision.
    challenger text,
    CONSTRAINT model_revisions_pkey PRIMARY KEY (revision),
    CONSTRAINT model_revisions_kind_known CHECK (
        kind IN ('deploy', 'promote', 'rollback', 'forward', 'challenge', 'withdraw')
    )
);

ALTER SEQUENCE scoring.model_revisions_position_seq OWNED BY scoring.model_revisions.position;
