{# Puts the list's descriptions on the columns of a view that has one column a feature. #}
{% macro comment_features(relation) %}
    {% for feature in feature_list() if feature.entity == 'user' %}
        COMMENT ON COLUMN {{ relation }}.{{ feature.name }}
        IS {{ dbt.string_literal(dbt.escape_single_quotes(feature.description)) }};
    {% endfor %}
{% endmacro %}
