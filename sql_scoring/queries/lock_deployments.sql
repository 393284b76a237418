-- One deployment at a time; the second waits for the first to commit.
SELECT pg_advisory_xact_lock(7266, 0)
