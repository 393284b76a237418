{# Puts the list's descriptions on the columns of a relation that has one column per feature. #}
{% macro comment_features(relation, features) %}
    {% for feature in features %}
        COMMENT ON COLUMN {{ relation }}.{{ feature.name }}
        IS {{ dbt.string_literal(dbt.escape_single_quotes(feature.description)) }};
    {% endfor %}
{% endmacro %}
