-- One row: what happens to a transaction that cannot be scored, and how long scoring may wait for a lock.
CREATE TABLE scoring.settings (
    is_only boolean NOT NULL DEFAULT true,
    -- accept: the row is stored without a decision, with its reason. refuse: the INSERT fails.
    on_failure text NOT NULL DEFAULT 'accept',
    lock_timeout_ms bigint NOT NULL DEFAULT 5000,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL DEFAULT session_user,
    CONSTRAINT settings_pkey PRIMARY KEY (is_only),
    CONSTRAINT settings_one_row CHECK (is_only),
    CONSTRAINT settings_on_failure_known CHECK (on_failure IN ('accept', 'refuse')),
    CONSTRAINT settings_lock_timeout_range CHECK (lock_timeout_ms BETWEEN 1 AND 600000)
);

INSERT INTO scoring.settings (is_only) VALUES (true);
