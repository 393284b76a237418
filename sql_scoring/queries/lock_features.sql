-- Waits for the run that has it; see try_lock_features.
SELECT pg_advisory_xact_lock(7266, 2)
