SELECT scoring.set_policy(%(on_failure)s::text, %(lock_timeout_ms)s::bigint)
