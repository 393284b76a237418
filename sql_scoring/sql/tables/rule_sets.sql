-- One row per published rule set: immutable. The function is scoring.rule_set_<version>.
CREATE TABLE scoring.rule_sets (
    version integer NOT NULL,
    -- As rules.yml has it: the round trip.
    document jsonb NOT NULL,
    -- The features whose positions its function reads.
    feature_names text[] NOT NULL,
    -- The lists that its rules name.
    list_names text[] NOT NULL,
    based_on integer NOT NULL,
    note text NOT NULL DEFAULT '',
    sql_text text,
    sql_sha256 text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_by text NOT NULL DEFAULT session_user,
    approved_by text,
    CONSTRAINT rule_sets_pkey PRIMARY KEY (version),
    CONSTRAINT rule_sets_version_range CHECK (version BETWEEN 1 AND 999999)
);
