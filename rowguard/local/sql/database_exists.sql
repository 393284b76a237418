-- One row if the database `name` is there.
SELECT 1 FROM pg_catalog.pg_database WHERE datname = %(name)s
