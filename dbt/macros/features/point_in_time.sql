{# Which rows `e` the row `c` saw: by arrival when it was scored live; by event time, ties by id, when it was loaded. #}
{% macro visible_rows() -%}
CASE
            WHEN c.is_history THEN (e.occurred_at, e.transaction_id) < (c.occurred_at, c.transaction_id)
            ELSE e.received_at < c.received_at
        END
{%- endmacro %}

{#
  The windowed features of some rows with a row scan: exact for every row, and slow for many.

  Arguments:
    rows (relation): transactions with the columns.
    columns (list of strings): what to keep of them.
  Returns: a SELECT of the columns and one column per windowed feature.
#}
{% macro row_scan_query(rows, columns) -%}
SELECT
        c.{{ columns | join(', c.') }}
        {%- for feature in windowed_features() %},
        x.{{ feature.name }}
        {%- endfor %}
    FROM {{ rows }} AS c
    CROSS JOIN LATERAL (
        {{ window_scan(windowed_features(), ref('stg_transactions'), visible_rows()) }}
    ) AS x
{%- endmacro %}

{# When the run started, for the rows that it builds; unit tests set it. #}
{% macro built_at() %}{{ return(run_started_at | string) }}{% endmacro %}

{#
  From windowed features to all values: joins the home and the rollup that each row saw.

  Arguments:
    windowed (relation): rows with their windowed features, as of row_scan_query.
  Returns: a SELECT of the columns of training_features.
#}
{% macro point_in_time_values(windowed) -%}
SELECT
    c.user_id,
    c.transaction_id,
    c.occurred_at,
    c.is_history,
    {{ feature_values() }} AS feature_values,
    '{{ built_at() }}'::timestamptz AS built_at
FROM (
    SELECT
        w.*,
        h.home_location
    FROM {{ windowed }} AS w
    LEFT JOIN {{ ref('int_user_homes') }} AS h
        ON w.user_id = h.user_id
        AND CASE WHEN w.is_history THEN h.history_valid_from ELSE h.valid_from END
        <= CASE WHEN w.is_history THEN w.occurred_at ELSE w.received_at END
        AND CASE WHEN w.is_history THEN w.occurred_at ELSE w.received_at END < h.valid_to
) AS c
{{- rollup_joins(ref('merchant_risk'), is_single=false) }}
{%- endmacro %}

{# Rows that retention deleted, or whose windows it left incomplete. #}
{% macro delete_incomplete_rows(training) %}
    DELETE FROM {{ training }} AS f
    WHERE f.occurred_at < (SELECT max(r.complete_from) FROM {{ source('scoring', 'retention_runs') }} AS r)
{% endmacro %}

{# The values of some features, as an array of a column that holds the values of all. #}
{% macro values_of(features, column) -%}
    {%- set names = feature_names() -%}
    ARRAY[
    {#- An array of none needs a type. -#}
    NULL::real
    {%- for feature in features -%}
        , {{ column }}[{{ names.index(feature.name) + 1 }}]
    {%- endfor -%}
    ]
{%- endmacro %}
