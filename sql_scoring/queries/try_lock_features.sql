-- One run of the features at a time, whose lock ends with its transaction, even behind a pooler. The transaction
-- stands open and idle for as long as dbt runs, and may wait for another run.
SELECT
    (
        SELECT count(set_config(s.name, '0', true))
        FROM pg_settings AS s
        WHERE s.name IN (
            'idle_in_transaction_session_timeout', 'lock_timeout', 'statement_timeout', 'transaction_timeout'
        )
    ) AS limits_lifted,
    pg_try_advisory_xact_lock(7266, 2) AS is_locked
