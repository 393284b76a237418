-- One row: the failure policy, how long scoring may wait for a lock, and the rule set in force.
CREATE TABLE scoring.settings (
    is_only boolean NOT NULL DEFAULT true,
    -- fail_open: the row is stored unscored, with its reason. fail_closed: the INSERT fails.
    failure_mode text NOT NULL DEFAULT 'fail_open',
    lock_timeout_ms bigint NOT NULL DEFAULT 1000,
    -- 0 is none: scoring.rule_set_0.
    rule_set_version integer NOT NULL DEFAULT 0,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL DEFAULT session_user,
    CONSTRAINT settings_pkey PRIMARY KEY (is_only),
    CONSTRAINT settings_one_row CHECK (is_only),
    CONSTRAINT settings_failure_mode_known CHECK (failure_mode IN ('fail_open', 'fail_closed')),
    CONSTRAINT settings_lock_timeout_range CHECK (lock_timeout_ms BETWEEN 1 AND 600000)
);

INSERT INTO scoring.settings (is_only) VALUES (true);
