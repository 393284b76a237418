-- How full the pages are: of the table what is not free, of each B-tree the mean of its leaves.
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
ORDER BY c.relkind DESC, c.relname
