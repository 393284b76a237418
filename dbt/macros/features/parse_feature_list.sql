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
    {% for line in text.split('\n') if line.strip() and not line.strip().startswith('#') %}
        {% set where = 'feature list, entry ' ~ (features | length + 1) ~ ' `' ~ line.strip() ~ '`: ' %}
        {% set parsed = fromyaml(line.strip(), none) %}
        {{ require(
            parsed is not none and parsed is not string and parsed | length == 1 and parsed[0] is mapping,
            where ~ 'not of the form - {name: ..., ...}'
        ) }}
        {% set feature = parsed[0] %}
        {{ check_feature(feature, names, where) }}
        {% if 'expression' not in feature %}{{ check_windowed_feature(feature, where) }}{% endif %}
        {% do names.append(feature.name) %}
        {% do features.append(feature) %}
    {% endfor %}
    {{ require(features, 'the feature list is empty') }}
    {% for name in supplied_feature_names() %}
        {{ require(name in names, 'the feature list lacks `' ~ name ~ '`, which callers of score_features supply') }}
    {% endfor %}
    {# Live reads get everything next to the running totals. #}
    {{ require(
        'count' in features | selectattr('entity', 'defined') | selectattr('entity', 'equalto', 'user') | map(attribute='aggregate') | list,
        'the feature list lacks a count of the user'
    ) }}
    {{ return(features) }}
{% endmacro %}

{# Names and keys, which all features have. #}
{% macro check_feature(feature, names, where) %}
    {% set windowed_keys = ['name', 'entity', 'measure', 'aggregate', 'window', 'delay', 'description'] %}
    {% set allowed = ['name', 'expression', 'description'] if 'expression' in feature else windowed_keys %}
    {% set name = feature.get('name', '') | string %}
    {{ require(
        modules.re.fullmatch('[a-z][a-z0-9_]{0,62}', name),
        where ~ 'name must be lower-case letters, digits and _ (at most 63)'
    ) }}
    {{ require(name not in names, where ~ 'the name `' ~ name ~ '` is taken') }}
    {{ require(feature.get('description'), where ~ 'a description is missing') }}
    {% for key in feature %}
        {{ require(key in allowed, where ~ 'unknown key `' ~ key ~ '`; known here: ' ~ allowed | join(', ')) }}
    {% endfor %}
    {% for key in allowed if key != 'delay' %}
        {{ require(key in feature, where ~ '`' ~ key ~ '` is missing') }}
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
    {{ require(
        feature.entity in ['user', 'user_merchant', 'user_location', 'merchant'],
        where ~ 'unknown entity `' ~ feature.entity ~ '`'
    ) }}
    {{ require(
        feature.aggregate in aggregates.get(feature.measure, []),
        where ~ 'no aggregate `' ~ feature.aggregate ~ '` of measure `' ~ feature.measure ~ '`'
        ~ (' with a delay' if is_rollup else ' without a delay')
    ) }}
    {{ require(
        not is_rollup or feature.entity in ['user', 'merchant'],
        where ~ 'only users and merchants have rollups by day; leave out `delay`'
    ) }}
    {{ require(
        is_rollup or feature.entity != 'merchant',
        where ~ 'merchants have rollups by day: set with `delay` how many days before'
    ) }}
    {% set window = modules.re.fullmatch('([1-9][0-9]{0,3})(h|d)', feature.window | string) %}
    {{ require(window, where ~ 'window must be a number and h or d, such as 12h or 30d') }}
    {% do feature.update({'window_hours': window.group(1) | int * (24 if window.group(2) == 'd' else 1)}) %}
    {% if is_rollup %}
        {% set delay = modules.re.fullmatch('([0-9]{1,3})d', feature.delay | string) %}
        {{ require(
            delay and window.group(2) == 'd', where ~ 'with a delay, window and delay are whole days, such as 7d'
        ) }}
        {% do feature.update({'window_days': window.group(1) | int, 'delay_days': delay.group(1) | int}) %}
    {% endif %}
{% endmacro %}

{% macro require(is_met, message) %}
    {% if not is_met %}{% do exceptions.raise_compiler_error(message) %}{% endif %}
{% endmacro %}

{# Names in the list of the four arguments of score_features. #}
{% macro supplied_feature_names() %}
    {{ return(['transaction_amount', 'user_txn_minutes_since_last', 'user_txn_count_1h', 'user_location_match']) }}
{% endmacro %}

{# The columns that a transaction brings to the features, stored or not. #}
{% macro transaction_columns() %}
    {{ return(['user_id', 'amount', 'merchant_id', 'location', 'occurred_at', 'home_location']) }}
{% endmacro %}
