-- The product of numbers, in the order of the aggregate: PostgreSQL has none.
CREATE OR REPLACE AGGREGATE scoring.multiply(double precision) (
    SFUNC = pg_catalog.float8mul,
    STYPE = double precision,
    INITCOND = '1'
);
