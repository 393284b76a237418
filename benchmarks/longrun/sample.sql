-- What grows, and how the velocity read is planned.
SELECT
    pg_relation_size('public.transactions') AS table_bytes,
    pg_relation_size('public.transactions_user_occurred_idx') AS velocity_index_bytes,
    pg_indexes_size('public.transactions') AS index_bytes,
    (SELECT c.reltuples::bigint FROM pg_class AS c WHERE c.oid = 'public.transactions'::regclass) AS rows,
    (SELECT s.n_dead_tup FROM pg_stat_user_tables AS s WHERE s.relid = 'public.transactions'::regclass) AS dead_rows,
    (
        SELECT array_agg(a.pid) FROM pg_stat_activity AS a
        WHERE a.application_name = 'pgbench' AND a.backend_type = 'client backend'
    ) AS pids
