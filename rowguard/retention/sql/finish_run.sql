UPDATE scoring.retention_runs
SET finished_at = clock_timestamp()
WHERE run_id = %(run_id)s
