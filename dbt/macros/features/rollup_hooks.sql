{#
  Before a rollup is appended to: deletes the rows that are about to be built again, and those that no transaction
  since retention reads. In place, so that live reads never wait for a table that is swapped.

  Arguments:
    relation (relation): the rollup's table.
    entity (string): 'merchant' or 'user'.
#}
{% macro delete_rows_to_rebuild(relation, entity) %}
    {%- if is_incremental() %}
    DELETE FROM {{ relation }} WHERE valid_from >= '{{ rebuild_from() }}';
    DELETE FROM {{ relation }} AS r
    USING (
        SELECT
            o.{{ entity }}_id,
            max(o.valid_from) AS valid_from
        FROM {{ relation }} AS o
        WHERE o.valid_from <= (
            SELECT (max(c.complete_from) AT TIME ZONE 'UTC')::date FROM {{ source('scoring', 'retention_runs') }} AS c
        )
        GROUP BY o.{{ entity }}_id
    ) AS first_read
    WHERE r.{{ entity }}_id = first_read.{{ entity }}_id AND r.valid_from < first_read.valid_from
    {%- endif %}
{% endmacro %}
