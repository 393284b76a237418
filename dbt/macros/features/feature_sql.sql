{# What all renderings of a feature share: the same count and exact sums go in, the same expression comes out, so that
   the bits are the same wherever it is computed. `c` is the row whose features are computed. #}

{% macro window_start(hours) -%}
    c.occurred_at - interval '{{ hours }} hours'
{%- endmacro %}

{#
  The value of a windowed feature. Sums are numeric and so exact; each is rounded once.

  Arguments:
    aggregate (string): count, sum, mean or stddev.
    txns, amount, squares (string): SQL of the window's count, sum and sum of squares.
#}
{% macro aggregate_value(aggregate, txns, amount, squares) -%}
    {%- if aggregate == 'count' -%}
        coalesce({{ txns }}, 0)::double precision
    {%- elif aggregate == 'sum' -%}
        coalesce({{ amount }}, 0)::double precision
    {%- elif aggregate == 'mean' -%}
        {{ amount }}::double precision / nullif({{ txns }}, 0)::double precision
    {%- elif aggregate == 'stddev' -%}
        sqrt(
            ({{ txns }} * {{ squares }} - {{ amount }} * {{ amount }})::double precision
            / nullif({{ txns }} * ({{ txns }} - 1), 0)::double precision
        )
    {%- endif -%}
{%- endmacro %}

{# In float64: extract() computes in decimals, at three times the work. #}
{% macro minutes_since(last_at, occurred_at='c.occurred_at') -%}
    date_part('epoch', {{ occurred_at }} - {{ last_at }}) / 60
{%- endmacro %}

{# Without the key there is nothing to aggregate: missing, not zero. #}
{% macro only_with_key(feature, sql) -%}
    {%- if feature.key -%} CASE WHEN c.{{ feature.key }} IS NOT NULL THEN {{ sql }} END {%- else -%} {{ sql }} {%- endif -%}
{%- endmacro %}

{# One aggregate over `e`, the rows of the longest window. #}
{% macro row_scan_expression(feature) -%}
    {%- set same_key = ' AND e.' ~ feature.key ~ ' = c.' ~ feature.key if feature.key else '' -%}
    {%- set only = ' FILTER (WHERE e.occurred_at > ' ~ window_start(feature.window_hours) ~ same_key ~ ')' -%}
    {%- if feature.aggregate == 'max' -%}
        {%- set sql = '(max(e.amount)' ~ only ~ ')::double precision' -%}
    {%- elif feature.aggregate == 'distinct' -%}
        {%- set column = {'merchant': 'merchant_id', 'location': 'location'}[feature.measure] -%}
        {%- set sql = '(count(DISTINCT e.' ~ column ~ ')' ~ only ~ ')::double precision' -%}
    {%- elif feature.aggregate == 'minutes_since' -%}
        {%- set sql = minutes_since('max(e.occurred_at)' ~ only) -%}
    {%- else -%}
        {%- set sql = aggregate_value(
            feature.aggregate, 'count(*)' ~ only, 'sum(e.amount)' ~ only, 'sum(e.amount * e.amount)' ~ only
        ) -%}
    {%- endif -%}
    {{ only_with_key(feature, sql) }}
{%- endmacro %}

{#
  A row scan of the longest window, for a lateral join next to `c`.

  Arguments:
    features (list): the features that it computes.
    transactions (relation): what it reads.
    visible (string): SQL condition on rows `e` that `c` saw, if not all.
#}
{% macro window_scan(features, transactions, visible=none) -%}
    SELECT
    {%- for feature in features %}
        {{ row_scan_expression(feature) }} AS {{ feature.name }}{{ ',' if not loop.last }}
    {%- endfor %}
    FROM {{ transactions }} AS e
    WHERE e.user_id = c.user_id
        AND e.occurred_at > {{ window_start(longest_window_hours(features)) }}
        AND e.occurred_at <= c.occurred_at
        {%- if visible %}
        AND {{ visible }}
        {%- endif %}
{%- endmacro %}

{#
  Expressions under the names of features, joined next to `c`.

  Arguments:
    named (list): pairs of name and SQL.
    alias (string): of the join.
    is_single (boolean): whether `c` is one row. Then OFFSET 0 keeps the planner from copying each expression into every
      derived feature.
#}
{% macro named_values(named, alias, is_single) -%}
    {%- if named %}
    CROSS JOIN LATERAL (
        SELECT
        {%- for name, sql in named %}
            {{ sql }} AS {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
        {%- if is_single %}
        OFFSET 0
        {%- endif %}
    ) AS {{ alias }}
    {%- endif %}
{%- endmacro %}

{# The cast to real is scikit-learn's own: what is stored is exactly what the model sees. #}
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

{# Changes with anything that could change a value: the list, its order, or the SQL that it renders to. #}
{% macro feature_hash() %}
    {% set texts = [
        feature_names() | join(','),
        live_query('transactions', 'users', 'merchant_risk', 'hash'),
        window_scan(windowed_features(), 'transactions'),
    ] %}
    {% for key in recency_keys() %}{% do texts.append(minutes_since_at(key, 'transactions')) %}{% endfor %}
    {% for feature in features_of('rollup') %}{% do texts.append(rollup_expression(feature)) %}{% endfor %}
    {{ return(local_md5(modules.re.sub('\\s+', ' ', texts | join(' ')))) }}
{% endmacro %}
