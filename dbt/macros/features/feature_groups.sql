{# Which features of the list are computed in which way.

   windowed       over earlier transactions of the user, up to the row itself
     running total  from two rows of an index, however many the window holds
     recency        from the last such row
     row scan       over every row of the window: what neither of the two can give
   rollup         over whole days of a user or a merchant, from a table that the nightly build makes
   derived        expressions over the transaction and the features above #}

{% macro windowed_features() %}
    {{ return(feature_list() | selectattr('window_hours', 'defined') | rejectattr('delay_days', 'defined') | list) }}
{% endmacro %}

{% macro uses_running_totals(feature) %}
    {{ return(feature.entity == 'user' and feature.aggregate in ['count', 'sum', 'mean', 'stddev']) }}
{% endmacro %}

{% macro running_total_features() %}
    {% set found = [] %}
    {% for feature in windowed_features() if uses_running_totals(feature) %}{% do found.append(feature) %}{% endfor %}
    {{ return(found) }}
{% endmacro %}

{% macro recency_features() %}
    {{ return(windowed_features() | selectattr('aggregate', 'equalto', 'minutes_since') | list) }}
{% endmacro %}

{# The columns, other than the user, by which recency features are keyed. #}
{% macro recency_keys() %}
    {% set found = [] %}
    {% for feature in recency_features() if pair_key(feature) and pair_key(feature) not in found %}
        {% do found.append(pair_key(feature)) %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}

{# Whether an expression of the list names one of these. #}
{% macro are_derived_from(features) %}
    {% set found = [] %}
    {% for feature in feature_list() if feature.expression is defined %}
        {% for name in features | map(attribute='name') if modules.re.search('\\b' ~ name ~ '\\b', feature.expression) %}
            {% do found.append(name) %}
        {% endfor %}
    {% endfor %}
    {{ return(found | length > 0) }}
{% endmacro %}

{% macro row_scan_features() %}
    {% set found = [] %}
    {% for feature in windowed_features() if not uses_running_totals(feature) and feature.aggregate != 'minutes_since' %}
        {% do found.append(feature) %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}

{% macro rollup_features(entity=none) %}
    {% set found = feature_list() | selectattr('delay_days', 'defined') | list %}
    {% if entity %}
        {% set found = found | selectattr('entity', 'equalto', entity) | list %}
    {% endif %}
    {{ return(found) }}
{% endmacro %}

{% macro longest_window_hours(features=none) %}
    {{ return((features or windowed_features()) | map(attribute='window_hours') | max | default(1, true)) }}
{% endmacro %}

{# The column that partitions a user's transactions further, or none. #}
{% macro pair_key(feature) %}
    {{ return({'user_merchant': 'merchant_id', 'user_location': 'location'}.get(feature.entity)) }}
{% endmacro %}

{% macro feature_names() %}
    {{ return(feature_list() | map(attribute='name') | list) }}
{% endmacro %}
