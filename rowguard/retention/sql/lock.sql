-- For the session, which is a direct one and ends with the run.
SELECT pg_try_advisory_lock(7266, 1)
