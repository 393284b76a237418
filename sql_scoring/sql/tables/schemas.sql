-- scoring: rowguard's internals. features: what dbt builds.
CREATE SCHEMA scoring;

-- dbt creates it too, when it runs before the migrations.
CREATE SCHEMA IF NOT EXISTS features;
