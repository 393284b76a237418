{# Puts the list's descriptions on the columns of a view that has one column a feature. #}
{% macro comment_features(relation) %}
    {% for feature in windowed_features() if feature.entity == 'user' %}
        COMMENT ON COLUMN {{ relation }}.{{ feature.name }}
        IS {{ dbt.string_literal(dbt.escape_single_quotes(feature.description)) }};
    {% endfor %}
{% endmacro %}

{% macro comment_rollup_features(relation, entity) %}
    {% for feature in rollup_features(entity) %}
        COMMENT ON COLUMN {{ relation }}.{{ feature.name }}
        IS {{ dbt.string_literal(dbt.escape_single_quotes(feature.description)) }};
    {% endfor %}
{% endmacro %}
