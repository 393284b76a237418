-- The feature list as a table, for the trainer, the registry and readers.
{%- set hash = feature_hash() %}
{%- for feature in feature_list() %}
SELECT
    {{ loop.index }}::integer AS position,
    '{{ feature.name }}'::text AS name,
    {% if feature.expression is defined -%}
    NULL::text AS entity,
    NULL::text AS measure,
    NULL::text AS aggregate,
    NULL::integer AS window_hours,
    NULL::integer AS delay_days,
    {{ dbt.string_literal(dbt.escape_single_quotes(feature.expression)) }}::text AS expression,
    {%- else -%}
    '{{ feature.entity }}'::text AS entity,
    '{{ feature.measure }}'::text AS measure,
    '{{ feature.aggregate }}'::text AS aggregate,
    {{ feature.window_hours }}::integer AS window_hours,
    {{ feature.delay_days | default('NULL') }}::integer AS delay_days,
    NULL::text AS expression,
    {%- endif %}
    {{ dbt.string_literal(dbt.escape_single_quotes(feature.description)) }}::text AS description,
    '{{ hash }}'::text AS feature_hash
{%- if not loop.last %}
UNION ALL
{%- endif %}
{%- endfor %}
