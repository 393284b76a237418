{# Statistics of a table that a build added a little to: a twentieth more or other rows needs no new ones. What is counted
   are changes since the last ANALYZE by builds before this one, and `made`, a table of what this one makes. #}
{% macro analyze_if_worth_it(relation, made=none) %}
    {%- if is_incremental() %}
    DO $analyze$
    BEGIN
        IF (
            SELECT s.n_mod_since_analyze{{ ' + (SELECT count(*) FROM ' ~ made ~ ')' if made }} > c.reltuples / 20
            FROM pg_class AS c INNER JOIN pg_stat_all_tables AS s ON c.oid = s.relid
            WHERE c.oid = '{{ relation }}'::regclass
        ) THEN
            ANALYZE {{ relation }};
        END IF;
    END
    $analyze$
    {%- else %}
    ANALYZE {{ relation }}
    {%- endif %}
{% endmacro %}
