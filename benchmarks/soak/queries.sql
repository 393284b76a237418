-- Named queries of this room, read by rowguard.queries.

-- name: page_density
-- How full the pages are: of the table the part that is not free, of each B-tree the mean of its leaves.
SELECT
    c.relname AS name,
    pg_relation_size(c.oid) AS bytes,
    CASE
        WHEN c.relkind = 'r'
            THEN (SELECT 100 - a.approx_free_percent FROM public.pgstattuple_approx(c.oid) AS a)
        ELSE (SELECT i.avg_leaf_density FROM public.pgstatindex(c.oid) AS i)
    END AS full_percent
FROM pg_class AS c
LEFT JOIN pg_am AS m ON c.relam = m.oid
WHERE
    c.oid = 'public.transactions'::regclass
    OR (
        m.amname = 'btree'
        AND c.oid IN (SELECT x.indexrelid FROM pg_index AS x WHERE x.indrelid = 'public.transactions'::regclass)
    )
ORDER BY c.relkind DESC, c.relname;

-- name: count_rows
-- Rows after the run, by result.
SELECT
    count(*) AS rows_after,
    count(*) FILTER (WHERE NOT t.is_history) AS live,
    count(*) FILTER (WHERE t.model_version IS NOT NULL) AS decided,
    count(*) FILTER (WHERE t.unscored_reason IS NOT NULL) AS with_reason,
    count(*) FILTER (
        WHERE t.model_version IS NULL AND t.unscored_reason IS NULL AND NOT t.is_history
    ) AS without_decision_or_reason,
    count(*) FILTER (WHERE t.user_txns_before IS NULL) AS without_totals
FROM public.transactions AS t;

-- name: sample
-- Sizes, background work and the pids of the load's sessions.
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
WHERE s.relid = 'public.transactions'::regclass;
