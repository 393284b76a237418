{# Sums over whole days (UTC) of a merchant, as known when the transaction's day began: windows end `delay` days before
   that day. A table holds them as type-2 rows, so that a read is one row of an index however busy the merchant is, and
   windows continue to slide between two builds. #}

{# Each window that the list names: delay and length in days, and after how many days an event has left it. #}
{% macro rollup_windows() %}
    {% set windows = [] %}
    {% for feature in features_of('rollup') %}
        {% set window = {
            'delay': feature.delay_days, 'days': feature.window_days, 'end': feature.delay_days + feature.window_days
        } %}
        {% if window not in windows %}{% do windows.append(window) %}{% endif %}
    {% endfor %}
    {{ return(windows) }}
{% endmacro %}

{% macro rollup_column(what, window) -%}
    {{ what }}_{{ window.days }}d_delayed_{{ window.delay }}d
{%- endmacro %}

{# The value of a feature from the sums `s` of its window. #}
{% macro rollup_expression(feature) -%}
    {%- set window = {'delay': feature.delay_days, 'days': feature.window_days} -%}
    {%- set txns = 's.' ~ rollup_column('txns', window) -%}
    {%- set frauds = 's.' ~ rollup_column('frauds', window) -%}
    {%- if feature.aggregate == 'fraud_count' -%}
        {{ frauds }}::double precision
    {%- elif feature.aggregate == 'fraud_rate' -%}
        {{ frauds }}::double precision / nullif({{ txns }}, 0)::double precision
    {%- else -%}
        {{ aggregate_value(feature.aggregate, txns, 's.' ~ rollup_column('amount', window), none) }}
    {%- endif -%}
{%- endmacro %}

{# The values of all rollup features of a row, to compare; without a relation those of a merchant that has no row. #}
{% macro rollup_row(relation=none) -%}
    ARRAY[
    {%- for feature in features_of('rollup') -%}
        {{ relation ~ '.' ~ feature.name if relation else ('0::real' if is_never_missing(feature) else 'NULL::real') }}
        {{- ', ' if not loop.last }}
    {%- endfor -%}
    ]
{%- endmacro %}

{# Counts and sums of a merchant without a row are 0; means and rates are missing. #}
{% macro is_never_missing(feature) %}
    {{ return(feature.aggregate in ['count', 'sum', 'fraud_count']) }}
{% endmacro %}

{#
  The joins next to `c` that give its rollup features under their names.

  Arguments:
    merchant_risk (relation): the type-2 rows.
    is_single (boolean): whether `c` is one row; see named_values.
#}
{% macro rollup_joins(merchant_risk, is_single) -%}
    {%- set features = features_of('rollup') -%}
    {%- if features %}
    LEFT JOIN LATERAL (
        SELECT
        {%- for feature in features %}
            r.{{ feature.name }} AS {{ feature.name }}{{ '_or_null' if is_never_missing(feature) }}{{ ',' if not loop.last }}
        {%- endfor %}
        FROM {{ merchant_risk }} AS r
        WHERE r.merchant_id = c.merchant_id AND r.valid_from <= (c.occurred_at AT TIME ZONE 'UTC')::date
        ORDER BY r.valid_from DESC
        LIMIT 1
    ) AS rmerchant ON true
    {%- endif %}
    {%- set named = [] %}
    {%- for feature in features if is_never_missing(feature) %}
        {%- do named.append((
            feature.name, 'CASE WHEN c.merchant_id IS NOT NULL THEN coalesce(' ~ feature.name ~ '_or_null, 0::real) END'
        )) %}
    {%- endfor %}
    {{- named_values(named, 'm', is_single) }}
{%- endmacro %}

{# Before merchant_risk is appended to: deletes the rows that are about to be built again, and those that no transaction
   since retention reads. In place, so that live reads never wait for a table that is swapped. #}
{% macro delete_rows_to_rebuild() %}
    {%- if is_incremental() %}
    DELETE FROM {{ this }} WHERE valid_from >= '{{ rebuild_from() }}';
    DELETE FROM {{ this }} AS r
    USING (
        SELECT
            o.merchant_id,
            max(o.valid_from) AS valid_from
        FROM {{ this }} AS o
        WHERE o.valid_from <= (
            SELECT (max(c.complete_from) AT TIME ZONE 'UTC')::date FROM {{ source('scoring', 'retention_runs') }} AS c
        )
        GROUP BY o.merchant_id
    ) AS first_read
    WHERE r.merchant_id = first_read.merchant_id AND r.valid_from < first_read.valid_from
    {%- endif %}
{% endmacro %}
