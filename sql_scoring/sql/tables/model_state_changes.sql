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
