-- scoring: rowguard's internals. features: what dbt builds.
CREATE SCHEMA scoring;

-- dbt makes it too, when it is run before the migrations.
CREATE SCHEMA IF NOT EXISTS features;
