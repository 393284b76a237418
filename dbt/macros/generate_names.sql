{# Everything goes into the one schema `features`. #}
{% macro generate_schema_name(custom_schema_name, node) %}
    {{ return(target.schema) }}
{% endmacro %}

{# What depends on the feature list carries the list's hash in its name: a changed list makes new ones next
   to those that the deployed model still calls. #}
{% macro generate_alias_name(custom_alias_name=none, node=none) %}
    {% set name = custom_alias_name or node.name %}
    {% if node.name in [
        'live_feature_values', 'row_scan_feature_values', 'supplied_feature_values',
        'user_location_minutes_since', 'user_merchant_minutes_since', 'training_features', 'merchant_risk',
    ] %}
        {{ return(name ~ '_' ~ feature_hash()[:8]) }}
    {% endif %}
    {{ return(name) }}
{% endmacro %}
