-- One run of the features at a time, whose lock ends with its transaction, even behind a pooler. The transaction
-- stands open and idle for as long as dbt runs, and may wait for another run.
SELECT
    set_config('idle_in_transaction_session_timeout', '0', true),
    set_config('statement_timeout', '0', true),
    set_config('lock_timeout', '0', true),
    pg_try_advisory_xact_lock(7266, 2) AS is_locked
