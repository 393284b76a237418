{# How many rows a table has, and a number that stands for their keys and instants, in any order. #}
{% macro counted_instants(relation) -%}
    SELECT
        count(*) AS row_count,
        sum(hashint8extended(
            r.user_id, timestamp_hash_extended(r.occurred_at AT TIME ZONE 'UTC', r.transaction_id)
        )) AS checksum
    FROM {{ relation }} AS r
{%- endmacro %}
