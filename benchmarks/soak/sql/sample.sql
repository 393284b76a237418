-- What grows and what works in the background.
SELECT
    pg_relation_size('public.transactions') AS table_bytes,
    pg_indexes_size('public.transactions') AS index_bytes,
    pg_relation_size('public.transactions_user_totals_idx') AS totals_index_bytes,
    pg_database_size(current_database()) AS database_bytes,
    s.n_dead_tup AS dead_rows,
    s.n_tup_upd AS updated_rows,
    s.n_tup_hot_upd AS hot_updated_rows,
    s.autovacuum_count AS autovacuums,
    s.autoanalyze_count AS autoanalyzes,
    s.vacuum_count AS vacuums,
    (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint AS wal_position,
    (SELECT c.num_timed + c.num_requested FROM pg_stat_checkpointer AS c) AS checkpoints,
    (
        SELECT array_agg(a.pid ORDER BY a.pid)
        FROM pg_stat_activity AS a
        WHERE
            a.application_name = 'pgbench'
            AND a.backend_type = 'client backend'
            AND a.datname = current_database()
    ) AS pids
FROM pg_stat_user_tables AS s
WHERE s.relid = 'public.transactions'::regclass
