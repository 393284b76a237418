{#
  The windowed features of many rows by window frames: each row is read once, however long its windows are.

  A frame follows event time. That is what a row saw, unless it was decided live and a row of earlier event time arrived
  after it, or two rows have the same time. Those rows are marked `needs_row_scan`; so are all rows of a list with a
  feature that reads its whole window anyway.

  Arguments:
    rows (relation): all rows that the windows reach.
  Returns: a SELECT of its columns, needs_row_scan and one column per windowed feature.
#}
{% macro window_frame_features(rows) -%}
    {%- set are_all_scanned = windowed_features() | selectattr('aggregate', 'in', ['max', 'distinct']) | list -%}
    {%- set frames = {} -%}
    {%- set named = [] -%}
    {%- for feature in windowed_features() -%}
        {%- set lagged = 'lag(c.occurred_at) OVER by_' ~ feature.entity -%}
        {%- set frame = feature.entity ~ '_' ~ feature.window_hours ~ 'h' -%}
        {%- if are_all_scanned -%}
            {%- set sql = 'NULL::double precision' -%}
        {%- elif feature.aggregate == 'minutes_since' -%}
            {%- set sql = since_within(feature, lagged) -%}
        {%- else -%}
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
        {% if are_all_scanned -%}
        true AS needs_row_scan
        {%- else -%}
        (
            coalesce(lag(c.occurred_at) OVER by_user = c.occurred_at, false)
            OR coalesce(lead(c.occurred_at) OVER by_user = c.occurred_at, false)
            OR (NOT c.is_history AND coalesce(max(c.received_at) OVER before >= c.received_at, false))
        ) AS needs_row_scan
        {%- endif %}
        {%- for name, sql in named %},
        {{ sql }} AS {{ name }}
        {%- endfor %}
    FROM {{ rows }} AS c
    WINDOW
        by_user AS (PARTITION BY c.user_id ORDER BY c.occurred_at, c.transaction_id),
        before AS (by_user ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
        by_user_merchant AS (PARTITION BY c.user_id, c.merchant_id ORDER BY c.occurred_at, c.transaction_id),
        by_user_location AS (PARTITION BY c.user_id, c.location ORDER BY c.occurred_at, c.transaction_id)
        {%- for frame, feature in frames.items() %},
        {{ frame }} AS (
            PARTITION BY c.user_id{{ ', c.' ~ feature.key if feature.key }}
            ORDER BY c.occurred_at
            -- half-open: what happened a whole window ago is out
            RANGE BETWEEN INTERVAL '{{ feature.window_hours - 1 }}:59:59.999999' PRECEDING AND CURRENT ROW
        )
        {%- endfor %}
{%- endmacro %}
