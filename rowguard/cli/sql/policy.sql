SELECT s.on_failure, s.lock_timeout_ms, s.changed_at, s.changed_by
FROM scoring.settings AS s
