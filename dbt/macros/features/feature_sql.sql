{# Everything here renders the one list; nothing else writes a feature in SQL.

   Two relations take part: `c`, the candidates (one row, or many), and `e`, the earlier transactions of the
   candidate's user. Sums run over whole ten-thousandths (amount_units), so that they are exact in any order. #}

{% macro window_start(hours) -%}
    c.occurred_at - interval '{{ hours }} hours'
{%- endmacro %}

{% macro user_features() %}
    {{ return(feature_list() | selectattr('window_hours', 'defined') | rejectattr('measure', 'equalto', 'label') | list) }}
{% endmacro %}

{% macro label_features() %}
    {{ return(feature_list() | selectattr('measure', 'equalto', 'label') | list) }}
{% endmacro %}

{% macro longest_window_hours() %}
    {{ return(user_features() | map(attribute='window_hours') | max) }}
{% endmacro %}

{# One aggregate over `e`. #}
{% macro windowed_expression(feature) -%}
    {%- set conditions = [] -%}
    {%- if feature.window_hours < longest_window_hours() -%}
        {%- do conditions.append('e.occurred_at > ' ~ window_start(feature.window_hours)) -%}
    {%- endif -%}
    {%- set key = {'user_merchant': 'merchant_id', 'user_location': 'location'}.get(feature.entity) -%}
    {%- if key -%}
        {%- do conditions.append('e.' ~ key ~ ' = c.' ~ key) -%}
    {%- endif -%}
    {%- set only = ' FILTER (WHERE ' ~ conditions | join(' AND ') ~ ')' if conditions else '' -%}
    {%- if feature.aggregate == 'count' -%}
        {%- set sql = 'count(*)' ~ only -%}
    {%- elif feature.aggregate == 'sum' -%}
        {%- set sql = 'coalesce(sum(e.amount_units)' ~ only ~ ', 0) / 10000' -%}
    {%- elif feature.aggregate == 'mean' -%}
        {%- set sql = 'avg(e.amount_units)' ~ only ~ ' / 10000' -%}
    {%- elif feature.aggregate == 'max' -%}
        {%- set sql = 'max(e.amount_units)' ~ only ~ ' / 10000' -%}
    {%- elif feature.aggregate == 'stddev' -%}
        {#- numeric: exact whatever the order, where float8 would depend on it -#}
        {%- set sql = 'stddev_samp(e.amount)' ~ only -%}
    {%- elif feature.aggregate == 'distinct' -%}
        {%- set column = {'merchant': 'merchant_id', 'location': 'location'}[feature.measure] -%}
        {%- set sql = 'count(DISTINCT e.' ~ column ~ ')' ~ only -%}
    {%- elif feature.aggregate == 'minutes_since' -%}
        {%- set sql = 'extract(epoch FROM c.occurred_at - max(e.occurred_at)' ~ only ~ ') / 60' -%}
    {%- endif -%}
    {%- if key -%}
        {#- without the key there is nothing to count: missing, not zero -#}
        {%- set sql = 'CASE WHEN c.' ~ key ~ ' IS NOT NULL THEN ' ~ sql ~ ' END' -%}
    {%- endif -%}
    ({{ sql }})::double precision
{%- endmacro %}

{# The sub-select over the earlier transactions, to stand in a lateral join beside `c`.
   `visible` narrows it to what the candidate could see. #}
{% macro windowed_features(transactions, visible=none) -%}
    SELECT
    {%- for feature in user_features() %}
        {{ windowed_expression(feature) }} AS {{ feature.name }}{{ ',' if not loop.last }}
    {%- endfor %}
    FROM {{ transactions }} AS e
    WHERE e.user_id = c.user_id
        AND e.occurred_at > {{ window_start(longest_window_hours()) }}
        AND e.occurred_at <= c.occurred_at
        {%- if visible %}
        AND {{ visible }}
        {%- endif %}
{%- endmacro %}

{# The day of the candidate, on which label windows end `delay` days earlier. #}
{% macro candidate_day() -%}
    (c.occurred_at AT TIME ZONE 'UTC')::date
{%- endmacro %}

{# One aggregate over `r`, the rollup of the candidate's merchant. #}
{% macro label_expression(feature) -%}
    {%- set first = candidate_day() ~ ' - ' ~ (feature.delay_days + feature.window_days) -%}
    {%- set last = candidate_day() ~ ' - ' ~ feature.delay_days -%}
    {%- set only = ' FILTER (WHERE r.event_day >= ' ~ first ~ ' AND r.event_day < ' ~ last ~ ')' -%}
    {%- if feature.aggregate == 'count' -%}
        {%- set sql = 'coalesce(sum(r.txn_count)' ~ only ~ ', 0)' -%}
    {%- elif feature.aggregate == 'fraud_count' -%}
        {%- set sql = 'coalesce(sum(r.fraud_change)' ~ only ~ ', 0)' -%}
    {%- elif feature.aggregate == 'fraud_share' -%}
        {%- set sql = 'sum(r.fraud_change)' ~ only ~ '::double precision / nullif(sum(r.txn_count)' ~ only ~ ', 0)' -%}
    {%- endif -%}
    (CASE WHEN c.merchant_id IS NOT NULL THEN {{ sql }} END)::double precision
{%- endmacro %}

{# The sub-select over the rollup of the candidate's merchant: what was known when the candidate's day began.
   At most one row a day and day of knowledge, however busy the merchant is. #}
{% macro merchant_label_features(merchant_days) -%}
    SELECT
    {%- for feature in label_features() %}
        {{ label_expression(feature) }} AS {{ feature.name }}{{ ',' if not loop.last }}
    {%- endfor %}
    FROM {{ merchant_days }} AS r
    WHERE r.merchant_id = c.merchant_id
        AND r.event_day >= {{ candidate_day() }} - {{ longest_label_reach_days() }}
        AND r.event_day < {{ candidate_day() }} - {{ label_features() | map(attribute='delay_days') | min }}
        AND r.known_day < {{ candidate_day() }}
{%- endmacro %}

{% macro longest_label_reach_days() %}
    {% set reach = [] %}
    {% for feature in label_features() %}
        {% do reach.append(feature.delay_days + feature.window_days) %}
    {% endfor %}
    {{ return(reach | max) }}
{% endmacro %}

{# Both joins that stand beside `c`; without label features there is only one. #}
{% macro lateral_features(transactions, merchant_days, visible=none) -%}
    CROSS JOIN LATERAL (
        {{ windowed_features(transactions, visible) }}
    ) AS w
    {%- if label_features() %}
    CROSS JOIN LATERAL (
        {{ merchant_label_features(merchant_days) }}
    ) AS m
    {%- endif %}
{%- endmacro %}

{# Features that need no earlier transactions stand here with those that do, in list order. The cast to real
   is scikit-learn's own: what is stored is exactly what the model sees. #}
{% macro feature_value(feature) -%}
    ({{ feature.expression if feature.expression is defined else feature.name }})::real
{%- endmacro %}

{% macro feature_values() -%}
    ARRAY[
    {%- for feature in feature_list() %}
        {{ feature_value(feature) }}{{ ',' if not loop.last }}
    {%- endfor %}
    ]
{%- endmacro %}

{% macro feature_names() %}
    {{ return(feature_list() | map(attribute='name') | list) }}
{% endmacro %}

{# Changes with anything that could change a value: the list, its order, or the SQL that it renders to. #}
{% macro feature_hash() %}
    {% set text = feature_names() | join(',') ~ feature_values() ~ lateral_features('transactions', 'merchant_days') %}
    {{ return(local_md5(modules.re.sub('\\s+', ' ', text))) }}
{% endmacro %}
