{#
  Text of the list -> list of features. What the macros cannot express is rejected when dbt parses.

  Rendering needs the list hundreds of times, and reading it takes 10 ms: results are cached in `graph`, which all
  nodes of a run share.

  Arguments:
    text (string): one feature per line, as YAML.
#}
{% macro parse_feature_list(text) %}
    {% set lists = graph.setdefault('rowguard_lists', {}) if graph is defined and graph is mapping else {} %}
    {% if text not in lists %}
        {% do lists.update({text: read_feature_list(text)}) %}
    {% endif %}
    {{ return(lists[text]) }}
{% endmacro %}

{% macro read_feature_list(text) %}
    {% set features = [] %}
    {% set names = transaction_columns() %}
    {% for line in text.split('\n') %}
        {% set entry = line.strip() %}
        {% if entry and not entry.startswith('#') %}
            {% set where = 'feature list, entry ' ~ (features | length + 1) ~ ' `' ~ entry ~ '`: ' %}
            {% set parsed = fromyaml(entry, none) %}
            {% if parsed is none or parsed is string or parsed | length != 1 or parsed[0] is not mapping %}
                {{ reject_feature(where ~ 'not of the form - {name: ..., ...}') }}
            {% endif %}
            {% set feature = parsed[0] %}
            {{ check_feature(feature, names, where) }}
            {% if 'expression' not in feature %}
                {{ check_windowed_feature(feature, where) }}
            {% endif %}
            {% do names.append(feature.name) %}
            {% do features.append(feature) %}
        {% endif %}
    {% endfor %}
    {% if not features %}
        {{ reject_feature('the feature list is empty') }}
    {% endif %}
    {% for name in supplied_feature_names() if name not in names %}
        {{ reject_feature('the feature list lacks `' ~ name ~ '`, which callers of score_features supply') }}
    {% endfor %}
    {{ return(features) }}
{% endmacro %}

{# Names and keys, which all features have. #}
{% macro check_feature(feature, names, where) %}
    {% set windowed_keys = ['name', 'entity', 'measure', 'aggregate', 'window', 'delay', 'description'] %}
    {% set allowed = ['name', 'expression', 'description'] if 'expression' in feature else windowed_keys %}
    {% set name = feature.get('name') %}
    {% if not name or not modules.re.fullmatch('[a-z][a-z0-9_]{0,62}', name | string) %}
        {{ reject_feature(where ~ 'name must be lower-case letters, digits and _ (at most 63)') }}
    {% endif %}
    {% if name in names %}
        {{ reject_feature(where ~ 'the name `' ~ name ~ '` is taken') }}
    {% endif %}
    {% if not feature.get('description') %}
        {{ reject_feature(where ~ 'a description is missing') }}
    {% endif %}
    {% for key in feature if key not in allowed %}
        {{ reject_feature(where ~ 'unknown key `' ~ key ~ '`; known here: ' ~ allowed | join(', ')) }}
    {% endfor %}
    {% for key in allowed if key != 'delay' and key not in feature %}
        {{ reject_feature(where ~ '`' ~ key ~ '` is missing') }}
    {% endfor %}
{% endmacro %}

{# Entity, measure, aggregate, window and delay; adds them as `window_hours`, `window_days` and `delay_days`. #}
{% macro check_windowed_feature(feature, where) %}
    {% set is_rollup = 'delay' in feature %}
    {% set aggregates = {
        'transaction': ['count'], 'amount': ['sum', 'mean'], 'label': ['count', 'fraud_count', 'fraud_rate'],
    } if is_rollup else {
        'transaction': ['count', 'minutes_since'], 'amount': ['sum', 'mean', 'max', 'stddev'],
        'merchant': ['distinct'], 'location': ['distinct'],
    } %}
    {% if feature.entity not in ['user', 'user_merchant', 'user_location', 'merchant'] %}
        {{ reject_feature(where ~ 'unknown entity `' ~ feature.entity ~ '`') }}
    {% endif %}
    {% if feature.aggregate not in aggregates.get(feature.measure, []) %}
        {{ reject_feature(
            where ~ 'no aggregate `' ~ feature.aggregate ~ '` of measure `' ~ feature.measure ~ '`'
            ~ (' with a delay' if is_rollup else ' without a delay')
        ) }}
    {% endif %}
    {% if is_rollup and feature.entity not in ['user', 'merchant'] %}
        {{ reject_feature(where ~ 'only users and merchants have rollups by day; leave out `delay`') }}
    {% endif %}
    {% if feature.entity == 'merchant' and not is_rollup %}
        {{ reject_feature(where ~ 'merchants have rollups by day: set with `delay` how many days before') }}
    {% endif %}
    {% set window = modules.re.fullmatch('([1-9][0-9]{0,3})(h|d)', feature.window | string) %}
    {% if not window %}
        {{ reject_feature(where ~ 'window must be a number and h or d, such as 12h or 30d') }}
    {% endif %}
    {% do feature.update({'window_hours': window.group(1) | int * (24 if window.group(2) == 'd' else 1)}) %}
    {% if is_rollup %}
        {% set delay = modules.re.fullmatch('([0-9]{1,3})d', feature.delay | string) %}
        {% if not delay or window.group(2) != 'd' %}
            {{ reject_feature(where ~ 'with a delay, window and delay are whole days, such as 7d') }}
        {% endif %}
        {% do feature.update({'window_days': window.group(1) | int, 'delay_days': delay.group(1) | int}) %}
    {% endif %}
{% endmacro %}

{# Names in the list of the four arguments of score_features. #}
{% macro supplied_feature_names() %}
    {{ return(['transaction_amount', 'user_txn_minutes_since_last', 'user_txn_count_1h', 'user_location_match']) }}
{% endmacro %}

{# The columns that a transaction brings to the features, stored or not. #}
{% macro transaction_columns() %}
    {{ return(['user_id', 'amount', 'merchant_id', 'location', 'occurred_at', 'home_location']) }}
{% endmacro %}

{% macro reject_feature(message) %}
    {% do exceptions.raise_compiler_error(message) %}
{% endmacro %}
