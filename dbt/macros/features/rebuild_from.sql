{#
  The date from which an incremental run builds again: rollups that are valid from it on, and history that occurred
  from it on. It is the earliest of

    - the last build's date less `var('lookback_days')`, for labels that were entered with an earlier date;
    - the first date with more transactions than the training set has, for late rows and imports into the past;
    - `var('rebuild_from')`, for what a run cannot know.

  Arguments:
    training (string): name of the training set's table, for which there is no ref: rollups are built before it.
  Returns: a date as text; '-infinity' when this model or the training set is built from scratch.
#}
{% macro rebuild_from(training='training_features_' ~ var('feature_hash')[:8]) %}
    {%- set transactions = ref('stg_transactions') -%}
    {%- set retention_runs = source('scoring', 'retention_runs') -%}
    {%- if not execute or not is_incremental() -%}
        {{ return('-infinity') }}
    {%- endif -%}
    {%- set built = adapter.get_relation(this.database, this.schema, training) -%}
    {%- if built is none -%}
        {{ return('-infinity') }}
    {%- endif -%}
    {#- All models of a run must agree on the date; `graph` is what they share. -#}
    {%- if 'rowguard_rebuild_from' not in graph -%}
        {%- set query -%}
        SELECT coalesce(
            least(
                (max(f.built_at) AT TIME ZONE 'UTC')::date - {{ var('lookback_days') }},
                min(coalesce(t.event_date, f.event_date)) FILTER (WHERE t.row_count > coalesce(f.row_count, 0)),
                {{ "'" ~ var('rebuild_from') ~ "'::date" if var('rebuild_from') else 'NULL' }}
            ),
            '-infinity'
        )::text
        FROM (
            SELECT t.event_date, count(*) AS row_count
            FROM {{ transactions }} AS t
            CROSS JOIN (SELECT coalesce(max(r.complete_from), '-infinity') AS complete_from FROM {{ retention_runs }} AS r) AS c
            WHERE t.occurred_at >= c.complete_from
            GROUP BY t.event_date
        ) AS t
        FULL JOIN (
            SELECT
                (f.occurred_at AT TIME ZONE 'UTC')::date AS event_date,
                count(*) AS row_count,
                max(f.built_at) AS built_at
            FROM {{ built }} AS f
            GROUP BY 1
        ) AS f ON t.event_date = f.event_date
        {%- endset -%}
        {%- do graph.update({'rowguard_rebuild_from': run_query(query).columns[0].values()[0]}) -%}
    {%- endif -%}
    {{ return(graph['rowguard_rebuild_from']) }}
{% endmacro %}

{# The same as a timestamp, at which the date starts. #}
{% macro rebuild_from_at() -%}
    ('{{ rebuild_from() }}'::date::timestamp AT TIME ZONE 'UTC')
{%- endmacro %}

{#
  Before a rollup is appended to: deletes the rows that are about to be built again, and those that no transaction since
  retention reads. In place, so that live reads never wait for a table that is swapped.

  Arguments:
    keys (list of strings): columns of the entity.
#}
{% macro delete_rows_to_rebuild(keys) %}
    {%- if is_incremental() %}
    DELETE FROM {{ this }} WHERE valid_from >= '{{ rebuild_from() }}';
    DELETE FROM {{ this }} AS r
    USING (
        SELECT
            {% for key in keys %}o.{{ key }}, {% endfor %}max(o.valid_from) AS valid_from
        FROM {{ this }} AS o
        WHERE o.valid_from <= (
            SELECT (max(c.complete_from) AT TIME ZONE 'UTC')::date FROM {{ source('scoring', 'retention_runs') }} AS c
        )
        {% if keys %}GROUP BY o.{{ keys | join(', o.') }}{% endif %}
    ) AS first_read
    WHERE {% for key in keys %}r.{{ key }} = first_read.{{ key }} AND {% endfor %}r.valid_from < first_read.valid_from
    {%- endif %}
{% endmacro %}

{# Rows that retention deleted, or whose windows it left incomplete. #}
{% macro delete_incomplete_rows(training) %}
    DELETE FROM {{ training }} AS f
    WHERE f.occurred_at < (SELECT max(r.complete_from) FROM {{ source('scoring', 'retention_runs') }} AS r)
{% endmacro %}
