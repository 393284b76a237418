-- scoring: rowguard's internals. features: what dbt builds. Alembic's table of versions, and dbt, may be first.
CREATE SCHEMA IF NOT EXISTS scoring;

CREATE SCHEMA IF NOT EXISTS features;
