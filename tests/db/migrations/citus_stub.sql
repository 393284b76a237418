-- Stands for the extension: its two functions and its catalog, with a record of what was asked. Nothing is distributed.
CREATE SCHEMA citus_stub;

CREATE TABLE citus_stub.calls (
    number bigint GENERATED ALWAYS AS IDENTITY,
    call text NOT NULL,
    foreign_keys bigint NOT NULL,
    unsafe_triggers text
);

CREATE TABLE citus_stub.pg_dist_partition (logicalrelid regclass PRIMARY KEY);

CREATE FUNCTION citus_stub.note(p_call text, p_table regclass) RETURNS void
LANGUAGE sql
AS $$
    INSERT INTO citus_stub.calls (call, foreign_keys, unsafe_triggers)
    SELECT p_call, count(*), current_setting('citus.enable_unsafe_triggers', true)
    FROM pg_constraint AS c WHERE c.contype = 'f' AND c.confrelid = p_table;
    INSERT INTO citus_stub.pg_dist_partition VALUES (p_table);
$$;

CREATE FUNCTION citus_stub.create_reference_table(table_name regclass) RETURNS void
LANGUAGE sql
AS $$
    SELECT citus_stub.note('reference ' || table_name::text, table_name);
$$;

CREATE FUNCTION citus_stub.create_distributed_table(
    table_name regclass, distribution_column text, colocate_with text DEFAULT 'default'
)
RETURNS void
LANGUAGE sql
AS $$
    SELECT citus_stub.note(format('%s by %s with %s', table_name, distribution_column, colocate_with), table_name);
$$;
