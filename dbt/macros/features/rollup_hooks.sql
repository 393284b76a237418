{#
  Before a rollup is appended to: deletes the rows that are about to be built again, and those that no transaction
  since retention reads. In place, so that live reads never wait for a table that is swapped.

  Arguments:
    relation (relation): the rollup's table.
    entity (string): 'merchant' or 'user'.
#}
{% macro delete_rows_to_rebuild(relation, entity) %}
    {%- if is_incremental() %}
    DELETE FROM {{ relation }} AS r
    WHERE r.valid_from >= '{{ rebuild_from() }}'
        OR EXISTS (
            SELECT
            FROM {{ relation }} AS n
            WHERE n.{{ entity }}_id = r.{{ entity }}_id
                AND n.valid_from > r.valid_from
                AND n.valid_from <= (
                    SELECT (max(c.complete_from) AT TIME ZONE 'UTC')::date
                    FROM {{ source('scoring', 'retention_runs') }} AS c
                )
        )
    {%- endif %}
{% endmacro %}
