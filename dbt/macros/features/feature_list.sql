{#
  The list of features (`vars: features` in dbt_project.yml), in the order in which the model sees them.

  Each gets `key`, the column that partitions the user's transactions further or none; `window_hours`, `window_days` and
  `delay_days` as numbers; and `kind`, how it is computed:
    windowed       over earlier transactions of the user, up to the row itself
      running_total  from two rows of an index, however many the window holds
      recency        from the last such row
      row_scan       over every row of the window: what neither of the two can give
    rollup         over whole days of a merchant, from a table that the nightly build makes
    derived        expressions over the transaction and the features above
#}
{% macro feature_list() %}
    {% set features = [] %}
    {% for entry in var('features') %}
        {% set feature = dict(entry, kind='derived', key={
            'user_merchant': 'merchant_id', 'user_location': 'location'
        }.get(entry.get('entity'))) %}
        {% if 'window' in entry %}
            {% set number = entry.window[:-1] | int %}
            {% set is_user = entry.entity == 'user' %}
            {% do feature.update({
                'window_hours': number * (24 if entry.window.endswith('d') else 1),
                'kind': 'rollup' if entry.entity == 'merchant'
                    else 'recency' if entry.aggregate == 'minutes_since'
                    else 'running_total' if is_user and entry.aggregate in ['count', 'sum', 'mean', 'stddev']
                    else 'row_scan',
            }) %}
            {% if entry.entity == 'merchant' %}
                {% set delay = var('label_delay_days') if entry.measure == 'label' else entry.delay[:-1] %}
                {% do feature.update({'window_days': number, 'delay_days': delay | int}) %}
            {% endif %}
        {% endif %}
        {% do features.append(feature) %}
    {% endfor %}
    {{ return(features) }}
{% endmacro %}

{# The features of these kinds. #}
{% macro features_of() %}
    {{ return(feature_list() | selectattr('kind', 'in', varargs) | list) }}
{% endmacro %}

{% macro windowed_features() %}
    {{ return(features_of('running_total', 'recency', 'row_scan')) }}
{% endmacro %}

{% macro feature_names() %}
    {{ return(feature_list() | map(attribute='name') | list) }}
{% endmacro %}

{% macro longest_window_hours(features=none) %}
    {{ return((features or windowed_features()) | map(attribute='window_hours') | max | default(1, true)) }}
{% endmacro %}

{# The columns, other than the user, by which recency features are keyed. #}
{% macro recency_keys() %}
    {{ return(features_of('recency') | map(attribute='key') | select | unique | list) }}
{% endmacro %}

{# Whether an expression of the list names one of these. #}
{% macro are_derived_from(features) %}
    {% set names = '\\b(' ~ features | map(attribute='name') | join('|') ~ ')\\b' %}
    {% set expressions = features_of('derived') | map(attribute='expression') | join(' ') %}
    {{ return(features | length > 0 and modules.re.search(names, expressions) is not none) }}
{% endmacro %}
