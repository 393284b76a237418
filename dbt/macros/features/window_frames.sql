{#
  The windowed features of many rows by window frames: each row is read once, however long its windows are.

  A frame follows event time. That is what a row saw, unless it was decided live and a row of earlier event time arrived
  after it, or two rows have the same time. Those rows are marked `needs_row_scan`.

  Arguments:
    rows (relation): all rows that the windows reach.
  Returns: a SELECT of its columns, needs_row_scan and one column per feature that frames can give.
#}
{% macro window_frame_features(rows) -%}
    {%- set frames = {} -%}
    {%- set named = [] -%}
    {%- for feature in windowed_features() if feature not in training_row_scan_features() -%}
        {%- set key = pair_key(feature) -%}
        {%- set lagged = 'lag(c.occurred_at) OVER ' ~ ('by_' ~ feature.entity) -%}
        {%- if feature.aggregate == 'minutes_since' -%}
            {%- set sql -%}
            CASE WHEN {{ lagged }} > {{ window_start(feature.window_hours) }} THEN {{ minutes_since(lagged) }} END
            {%- endset -%}
        {%- else -%}
            {%- set frame = feature.entity ~ '_' ~ feature.window_hours ~ 'h' -%}
            {%- do frames.update({frame: feature}) -%}
            {%- set sql = aggregate_value(
                feature.aggregate,
                '(count(*) OVER ' ~ frame ~ ' - 1)',
                '(sum(c.amount) OVER ' ~ frame ~ ' - c.amount)',
                '(sum(c.amount * c.amount) OVER ' ~ frame ~ ' - c.amount * c.amount)',
            ) -%}
        {%- endif -%}
        {%- do named.append((feature.name, only_with_key(feature, sql))) -%}
    {%- endfor -%}
    SELECT
        c.*,
        (
            coalesce(lag(c.occurred_at) OVER by_user = c.occurred_at, false)
            OR coalesce(lead(c.occurred_at) OVER by_user = c.occurred_at, false)
            OR (NOT c.is_history AND coalesce(max(c.received_at) OVER before >= c.received_at, false))
        ) AS needs_row_scan
        {%- for name, sql in named %},
        {{ sql }} AS {{ name }}
        {%- endfor %}
    FROM {{ rows }} AS c
    WINDOW
        by_user AS (PARTITION BY c.user_id ORDER BY c.occurred_at, c.transaction_id),
        before AS (by_user ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        {%- for entity in ['user_merchant', 'user_location'] %},
        by_{{ entity }} AS (PARTITION BY c.user_id, c.{{ pair_key({'entity': entity}) }} ORDER BY c.occurred_at, c.transaction_id)
        {%- endfor %}
        {%- for frame, feature in frames.items() %},
        {{ frame }} AS (
            PARTITION BY c.user_id{{ ', c.' ~ pair_key(feature) if pair_key(feature) }}
            ORDER BY c.occurred_at
            -- half-open: what happened a whole window ago is out
            RANGE BETWEEN INTERVAL '{{ feature.window_hours - 1 }}:59:59.999999' PRECEDING AND CURRENT ROW
        )
        {%- endfor %}
{%- endmacro %}

{# What frames cannot give: every row of the window would be read again for each row. #}
{% macro training_row_scan_features() %}
    {{ return(windowed_features() | selectattr('aggregate', 'in', ['max', 'distinct']) | list) }}
{% endmacro %}
