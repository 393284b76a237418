-- One row per generated migration, with its files, so that a missing file can be restored.
CREATE SEQUENCE scoring.model_revisions_position_seq AS bigint;

CREATE TABLE scoring.model_revisions (
    revision text NOT NULL,
    position bigint NOT NULL DEFAULT nextval('scoring.model_revisions_position_seq'::regclass),
    -- deploy and promote add a champion to the history; rollback and roll_forward move along it; deploy_challenger
    -- and retire_challenger keep the champion.
    kind text NOT NULL,
    champion text NOT NULL,
    files jsonb NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    -- How many champions a rollback or a roll-forward moves.
    steps integer NOT NULL DEFAULT 1,
    -- The challenger after the revision.
    challenger text,
    CONSTRAINT model_revisions_pkey PRIMARY KEY (revision),
    CONSTRAINT model_revisions_kind_known CHECK (
        kind IN ('deploy', 'promote', 'rollback', 'roll_forward', 'deploy_challenger', 'retire_challenger')
    )
);

ALTER SEQUENCE scoring.model_revisions_position_seq OWNED BY scoring.model_revisions.position;
