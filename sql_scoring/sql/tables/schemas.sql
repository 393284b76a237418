-- scoring: rowguard's internals. features: what dbt builds.
CREATE SCHEMA scoring;

CREATE SCHEMA features;
