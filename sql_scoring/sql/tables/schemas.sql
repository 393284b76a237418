-- public: what callers see, or the schema that the settings name in its place.
CREATE SCHEMA IF NOT EXISTS public;

-- scoring: rowguard's internals. features: what dbt builds. Alembic's table of versions, and dbt, may be first.
CREATE SCHEMA IF NOT EXISTS scoring;

CREATE SCHEMA IF NOT EXISTS features;
