{# Everything goes into the one schema `features`. #}
{% macro generate_schema_name(custom_schema_name, node) %}
    {{ return(target.schema) }}
{% endmacro %}
