{# The values at the places of some features, as one array, for comparing two `feature_values`. #}
{% macro compared_values(relation, names) -%}
    {%- set all = feature_names() -%}
    ARRAY[
    {%- for name in names -%}
        {{ relation }}.feature_values[{{ all.index(name) + 1 }}]{{ ', ' if not loop.last }}
    {%- endfor -%}
    ]
{%- endmacro %}
