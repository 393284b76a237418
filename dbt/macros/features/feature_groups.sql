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

{% macro running_total_features() %}
    {{ return(
        windowed_features() | selectattr('entity', 'equalto', 'user')
        | selectattr('aggregate', 'in', ['count', 'sum', 'mean', 'stddev']) | list
    ) }}
{% endmacro %}

{% macro recency_features() %}
    {{ return(windowed_features() | selectattr('aggregate', 'equalto', 'minutes_since') | list) }}
{% endmacro %}

{# The columns, other than the user, by which recency features are keyed. #}
{% macro recency_keys() %}
    {% set found = [] %}
    {% for feature in recency_features() if pair_key(feature) %}{% do found.append(pair_key(feature)) %}{% endfor %}
    {{ return(found | unique | list) }}
{% endmacro %}

{# Whether an expression of the list names one of these. #}
{% macro are_derived_from(features) %}
    {% set names = '\\b(' ~ features | map(attribute='name') | join('|') ~ ')\\b' %}
    {% set expressions = feature_list() | selectattr('expression', 'defined') | map(attribute='expression') | join(' ') %}
    {{ return(features | length > 0 and modules.re.search(names, expressions) is not none) }}
{% endmacro %}

{% macro row_scan_features() %}
    {% set found = [] %}
    {% set others = running_total_features() + recency_features() %}
    {% for feature in windowed_features() if feature not in others %}{% do found.append(feature) %}{% endfor %}
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
