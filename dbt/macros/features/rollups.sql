{# Sums over whole days (UTC) of a merchant or a user, as known when the transaction's day began: windows end `delay` days
   before that day. A table holds them as type-2 rows, so that a read is one row of an index however busy the merchant
   is, and windows continue to slide between two builds. #}

{% macro transaction_date() -%}
    (c.occurred_at AT TIME ZONE 'UTC')::date
{%- endmacro %}

{# Each (delay, window) that the list names for the entity, once. #}
{% macro rollup_windows(entity) %}
    {% set found = [] %}
    {% for feature in rollup_features(entity) %}
        {% set window = {'delay': feature.delay_days, 'days': feature.window_days} %}
        {% if window not in found %}{% do found.append(window) %}{% endif %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}

{# How many days after an event it has left every window of the entity. #}
{% macro rollup_lookback_days(entity) %}
    {% set days = [0] %}
    {% for window in rollup_windows(entity) %}{% do days.append(window.delay + window.days + 1) %}{% endfor %}
    {{ return(days | max) }}
{% endmacro %}

{# What is summed up for the entity: only what its features ask for. #}
{% macro rollup_sums(entity) %}
    {% set features = rollup_features(entity) %}
    {% set found = [] %}
    {% if features | rejectattr('aggregate', 'in', ['fraud_count', 'sum']) | list %}{% do found.append('txns') %}{% endif %}
    {% if features | selectattr('aggregate', 'in', ['fraud_count', 'fraud_rate']) | list %}{% do found.append('frauds') %}{% endif %}
    {% if features | selectattr('measure', 'equalto', 'amount') | list %}{% do found.append('amount') %}{% endif %}
    {{ return(found) }}
{% endmacro %}

{% macro rollup_column(what, window) -%}
    {{ what }}_{{ window.days }}d_delayed_{{ window.delay }}d
{%- endmacro %}

{# The value of a feature from the sums of its window. #}
{% macro rollup_expression(feature) -%}
    {%- set window = {'delay': feature.delay_days, 'days': feature.window_days} -%}
    {%- set txns = 's.' ~ rollup_column('txns', window) -%}
    {%- set frauds = 's.' ~ rollup_column('frauds', window) -%}
    {%- set amount = 's.' ~ rollup_column('amount', window) -%}
    {%- if feature.aggregate == 'fraud_count' -%}
        {{ frauds }}::double precision
    {%- elif feature.aggregate == 'fraud_rate' -%}
        {{ frauds }}::double precision / nullif({{ txns }}, 0)::double precision
    {%- else -%}
        {{ aggregate_value(feature.aggregate, txns, amount, none) }}
    {%- endif -%}
{%- endmacro %}

{#
  The joins next to `c` that give its rollup features under their names.

  Arguments:
    tables (dict): entity -> relation of its type-2 rows.
    is_single (boolean): whether `c` is one row; see named_values.
#}
{% macro rollup_joins(tables, is_single) -%}
    {%- for entity in ['merchant', 'user'] if rollup_features(entity) %}
    LEFT JOIN LATERAL (
        SELECT
        {%- for feature in rollup_features(entity) %}
            r.{{ feature.name }} AS {{ feature.name }}{{ '_or_null' if is_never_missing(feature) }}{{ ',' if not loop.last }}
        {%- endfor %}
        FROM {{ tables[entity] }} AS r
        WHERE r.{{ entity }}_id = c.{{ entity }}_id AND r.valid_from <= {{ transaction_date() }}
        ORDER BY r.valid_from DESC
        LIMIT 1
    ) AS r{{ entity }} ON true
    {%- endfor %}
    {%- set named = [] %}
    {%- for feature in rollup_features() if is_never_missing(feature) %}
        {%- set sql = 'coalesce(' ~ feature.name ~ '_or_null, 0::real)' %}
        {%- if feature.entity == 'merchant' %}
            {%- set sql = 'CASE WHEN c.merchant_id IS NOT NULL THEN ' ~ sql ~ ' END' %}
        {%- endif %}
        {%- do named.append((feature.name, sql)) %}
    {%- endfor %}
    {{- named_values(named, 'm', is_single) }}
{%- endmacro %}

{# Counts and sums of an entity without a row are 0; means and rates are missing. #}
{% macro is_never_missing(feature) %}
    {{ return(feature.aggregate in ['count', 'sum', 'fraud_count']) }}
{% endmacro %}
