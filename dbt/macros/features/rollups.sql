{# Sums over whole days (UTC) of a merchant or a user, as known when the candidate's day began: the windows end `delay`
   days before that day. A table holds them as steps: one row per day from which they differ, so that a read is one row
   of an index however busy the merchant is, and a window goes on sliding between two builds. #}

{% macro candidate_day() -%}
    (c.occurred_at AT TIME ZONE 'UTC')::date
{%- endmacro %}

{# Each (delay, window) that the list names for the entity, once. #}
{% macro rollup_windows(entity) %}
    {% set found = [] %}
    {% for feature in rolled_features(entity) %}
        {% set window = {'delay': feature.delay_days, 'days': feature.window_days} %}
        {% if window not in found %}{% do found.append(window) %}{% endif %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}

{# What is summed up for the entity: only what its features ask for. #}
{% macro rollup_sums(entity) %}
    {% set features = rolled_features(entity) %}
    {% set found = [] %}
    {% if features | rejectattr('aggregate', 'in', ['fraud_count', 'sum']) | list %}{% do found.append('txns') %}{% endif %}
    {% if features | selectattr('aggregate', 'in', ['fraud_count', 'fraud_share']) | list %}{% do found.append('frauds') %}{% endif %}
    {% if features | selectattr('measure', 'equalto', 'amount') | list %}{% do found.append('amount') %}{% endif %}
    {{ return(found) }}
{% endmacro %}

{% macro rollup_column(what, window) -%}
    {{ what }}_{{ window.days }}d_delayed_{{ window.delay }}d
{%- endmacro %}

{# The value of a feature from the sums of its window. #}
{% macro rolled_expression(feature) -%}
    {%- set window = {'delay': feature.delay_days, 'days': feature.window_days} -%}
    {%- set txns = 's.' ~ rollup_column('txns', window) -%}
    {%- set frauds = 's.' ~ rollup_column('frauds', window) -%}
    {%- set amount = 's.' ~ rollup_column('amount', window) -%}
    {%- if feature.aggregate == 'fraud_count' -%}
        {{ frauds }}::double precision
    {%- elif feature.aggregate == 'fraud_share' -%}
        {{ frauds }}::double precision / nullif({{ txns }}, 0)::double precision
    {%- else -%}
        {{ aggregate_value(feature.aggregate, txns, amount, none) }}
    {%- endif -%}
{%- endmacro %}

{# The joins that stand beside `c`, with the features under their names; `steps` names the table of each entity. An
   entity without a step has counts and sums of 0. #}
{% macro rollup_joins(steps, is_single) -%}
    {%- for entity in ['merchant', 'user'] if rolled_features(entity) %}
    LEFT JOIN LATERAL (
        SELECT
        {%- for feature in rolled_features(entity) %}
            r.{{ feature.name }} AS {{ feature.name }}{{ '_at_step' if is_never_missing(feature) }}{{ ',' if not loop.last }}
        {%- endfor %}
        FROM {{ steps[entity] }} AS r
        WHERE r.{{ entity }}_id = c.{{ entity }}_id AND r.from_day <= {{ candidate_day() }}
        ORDER BY r.from_day DESC
        LIMIT 1
    ) AS r{{ entity }} ON true
    {%- endfor %}
    {%- set named = [] %}
    {%- for feature in rolled_features() if is_never_missing(feature) %}
        {%- set sql = 'coalesce(' ~ feature.name ~ '_at_step, 0::real)' %}
        {%- if feature.entity == 'merchant' %}
            {%- set sql = 'CASE WHEN c.merchant_id IS NOT NULL THEN ' ~ sql ~ ' END' %}
        {%- endif %}
        {%- do named.append((feature.name, sql)) %}
    {%- endfor %}
    {{- named_values(named, 'm', is_single) }}
{%- endmacro %}

{% macro is_never_missing(feature) %}
    {{ return(feature.aggregate in ['count', 'sum', 'fraud_count']) }}
{% endmacro %}
