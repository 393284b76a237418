-- Every list's training table that is built here.
SELECT c.relname
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = to_regnamespace('features') AND c.relname LIKE 'training\_features\_%' AND c.relkind = 'r'
ORDER BY c.relname
