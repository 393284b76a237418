-- The database answers, has the schema, and takes writes.
SELECT
    to_regclass('public.transactions') IS NOT NULL AS has_schema,
    NOT pg_is_in_recovery() AS takes_writes
