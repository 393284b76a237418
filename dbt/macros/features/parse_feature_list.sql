{# Text of the list -> list of features, each with `windows hours` worked out. What the macro cannot express is
   refused here, when dbt parses, with the list's entry and line.

   Rendering asks for the list hundreds of times, and reading it takes 10 ms: what a text was read as is kept in `graph`, the
   one thing that all nodes of a run share. #}
{% macro parse_feature_list(text) %}
    {% set kept = graph.setdefault('rowguard_lists', {}) if graph is defined and graph is mapping else {} %}
    {% if text not in kept %}
        {% do kept.update({text: read_feature_list(text)}) %}
    {% endif %}
    {{ return(kept[text]) }}
{% endmacro %}

{% macro read_feature_list(text) %}
    {% set aggregates = {
        'transaction': ['count', 'minutes_since'],
        'amount': ['sum', 'mean', 'max', 'stddev'],
        'merchant': ['distinct'],
        'location': ['distinct'],
    } %}
    {% set rollup_aggregates = {
        'transaction': ['count'],
        'amount': ['sum', 'mean'],
        'label': ['count', 'fraud_count', 'fraud_rate'],
    } %}
    {% set windowed_keys = ['name', 'entity', 'measure', 'aggregate', 'window', 'delay', 'description'] %}
    {% set derived_keys = ['name', 'expression', 'description'] %}
    {% set transaction_columns = transaction_columns() %}
    {% set features = [] %}
    {% set names = [] %}
    {% for line in text.split('\n') %}
        {% set entry = line.strip() %}
        {% if entry and not entry.startswith('#') %}
            {% set where = 'feature list, entry ' ~ (features | length + 1) ~ ' `' ~ entry ~ '`: ' %}
            {% set parsed = fromyaml(entry, none) %}
            {% if parsed is none or parsed is string or parsed | length != 1 or parsed[0] is not mapping %}
                {{ refuse_feature(where ~ 'not of the form - {name: ..., ...}') }}
            {% endif %}
            {% set feature = parsed[0] %}
            {% set name = feature.get('name') %}
            {% if not name or not modules.re.fullmatch('[a-z][a-z0-9_]{0,62}', name | string) %}
                {{ refuse_feature(where ~ 'name must be lower-case letters, digits and _ (at most 63)') }}
            {% endif %}
            {% if name in names or name in transaction_columns %}
                {{ refuse_feature(where ~ 'the name `' ~ name ~ '` is taken') }}
            {% endif %}
            {% if not feature.get('description') %}
                {{ refuse_feature(where ~ 'a description is missing') }}
            {% endif %}
            {% set allowed = derived_keys if 'expression' in feature else windowed_keys %}
            {% for key in feature %}
                {% if key not in allowed %}
                    {{ refuse_feature(where ~ 'unknown key `' ~ key ~ '`; known here: ' ~ allowed | join(', ')) }}
                {% endif %}
            {% endfor %}
            {% if 'expression' not in feature %}
                {% for key in windowed_keys if key != 'delay' %}
                    {% if key not in feature %}
                        {{ refuse_feature(where ~ '`' ~ key ~ '` is missing') }}
                    {% endif %}
                {% endfor %}
                {% if feature.entity not in ['user', 'user_merchant', 'user_location', 'merchant'] %}
                    {{ refuse_feature(where ~ 'unknown entity `' ~ feature.entity ~ '`') }}
                {% endif %}
                {% set is_rolled = 'delay' in feature %}
                {% set known = rollup_aggregates if is_rolled else aggregates %}
                {% if feature.aggregate not in known.get(feature.measure, []) %}
                    {{ refuse_feature(
                        where ~ 'no aggregate `' ~ feature.aggregate ~ '` of measure `' ~ feature.measure ~ '`'
                        ~ (' with a delay' if is_rolled else ' without a delay')
                    ) }}
                {% endif %}
                {% if is_rolled and feature.entity not in ['user', 'merchant'] %}
                    {{ refuse_feature(where ~ 'only users and merchants are summed up by day; leave out `delay`') }}
                {% endif %}
                {% if feature.entity == 'merchant' and not is_rolled %}
                    {{ refuse_feature(where ~ 'merchants are summed up by day: say with `delay` how many days before') }}
                {% endif %}
                {% set window = modules.re.fullmatch('([1-9][0-9]{0,3})(h|d)', feature.window | string) %}
                {% if not window %}
                    {{ refuse_feature(where ~ 'window must be a number and h or d, such as 12h or 30d') }}
                {% endif %}
                {% if is_rolled %}
                    {% set delay = modules.re.fullmatch('([0-9]{1,3})d', feature.delay | string) %}
                    {% if not delay or window.group(2) != 'd' %}
                        {{ refuse_feature(where ~ 'with a delay, window and delay are whole days, such as 7d') }}
                    {% endif %}
                    {% do feature.update({'window_days': window.group(1) | int, 'delay_days': delay.group(1) | int}) %}
                {% endif %}
                {% do feature.update({'window_hours': window.group(1) | int * (24 if window.group(2) == 'd' else 1)}) %}
            {% endif %}
            {% do names.append(name) %}
            {% do features.append(feature) %}
        {% endif %}
    {% endfor %}
    {% if not features %}
        {{ refuse_feature('the feature list is empty') }}
    {% endif %}
    {% for name in supplied_feature_names() if name not in names %}
        {{ refuse_feature('the feature list lacks `' ~ name ~ '`, which callers of score_transaction bring') }}
    {% endfor %}
    {{ return(features) }}
{% endmacro %}

{# What the four arguments of score_transaction are called in the list. #}
{% macro supplied_feature_names() %}
    {{ return(['transaction_amount', 'user_txn_minutes_since_last', 'user_txn_count_1h', 'user_location_match']) }}
{% endmacro %}

{# The columns that a transaction brings to the features, whether it is stored or only a candidate. #}
{% macro transaction_columns() %}
    {{ return(['user_id', 'amount', 'merchant_id', 'location', 'occurred_at', 'home_location']) }}
{% endmacro %}

{% macro refuse_feature(message) %}
    {% do exceptions.raise_compiler_error(message) %}
{% endmacro %}
