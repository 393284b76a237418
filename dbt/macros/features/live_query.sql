{# The features of one candidate, in one statement: the user's last row `l` holds the running totals up to it, the first
   row of each window those before it, and their difference is the window's. The answer is NULL where totals cannot
   give it: the candidate is late, or a row of the user has none yet; then the rows are read one by one.

   `steps` maps an entity to its table of daily sums, `hash8` ends the names of the functions that it calls. Parameters are
   those of live_feature_values. With `with_last_row` the columns after the values are the instant of the user's last row
   and the totals up to and with it. #}
{% macro live_query(transactions, users, steps, hash8, with_last_row=false) -%}
    {%- set totalled = running_total_features() -%}
    {%- set hours = totalled | map(attribute='window_hours') | unique | list -%}
    {%- set aggregates = totalled | map(attribute='aggregate') | unique | list -%}
    SELECT
        CASE
            WHEN {{ 'l.last_at > c.occurred_at OR l.totals_pending' if totalled else 'false' }} THEN NULL
            ELSE {{ feature_values() }}
        END{% if with_last_row %},
        l.last_at,
        l.total_txns,
        l.total_amount,
        l.total_squares{% endif %}

    FROM (
        SELECT
            p_user_id AS user_id,
            p_amount AS amount,
            p_merchant_id AS merchant_id,
            p_location AS location,
            p_occurred_at AS occurred_at,
            (SELECT u.home_location FROM {{ users }} AS u WHERE u.user_id = p_user_id) AS home_location
    ) AS c
    {%- if totalled or with_last_row %}
    LEFT JOIN LATERAL (
        SELECT
            e.occurred_at AS last_at,
            {%- for key in recency_keys() if totalled %}
            e.{{ key }} AS last_{{ key }},
            {%- endfor %}
            e.user_txns_before + 1 AS total_txns,
            e.user_amount_before + e.amount AS total_amount,
            e.user_amount_squares_before + e.amount * e.amount AS total_squares
            {%- if totalled %},
            EXISTS (
                SELECT FROM {{ transactions }} AS n WHERE n.user_id = p_user_id AND n.user_txns_before IS NULL
            ) AS totals_pending
            {%- endif %}

        FROM {{ transactions }} AS e
        WHERE e.user_id = p_user_id
        ORDER BY e.occurred_at DESC, e.user_txns_before DESC
        LIMIT 1
    ) AS l ON true
    {%- endif %}
    {%- if totalled %}
    CROSS JOIN LATERAL (
        -- Both OFFSETs keep the planner from writing what they fence out again for each derived feature.
        SELECT
        {%- for feature in totalled %}
            s.windows[{{ hours.index(feature.window_hours) + 1 }}][{{ aggregates.index(feature.aggregate) + 1 }}] AS {{ feature.name }}{{ ',' if not loop.last }}
        {%- endfor %}
        FROM (
            -- A row a window, in the order of the windows (a nested loop keeps it), a column an aggregate. What is
            -- reckoned here is built once for all windows; beside each feature's name it would be built for each.
            SELECT ARRAY(
                SELECT ARRAY[
                {%- for aggregate in aggregates %}
                    {{ aggregate_value(aggregate, 'f.txns', 'f.amount', 'f.squares') }}{{ ',' if not loop.last }}
                {%- endfor %}
                ]
                FROM (VALUES {% for window in hours %}(interval '{{ window }} hours'){{ ', ' if not loop.last }}{% endfor %}) AS w (length)
                LEFT JOIN LATERAL (
                    SELECT
                        l.total_txns - e.user_txns_before AS txns,
                        l.total_amount - e.user_amount_before AS amount,
                        l.total_squares - e.user_amount_squares_before AS squares
                    FROM {{ transactions }} AS e
                    WHERE e.user_id = p_user_id AND e.occurred_at > p_occurred_at - w.length
                    ORDER BY e.occurred_at, e.user_txns_before
                    LIMIT 1
                ) AS f ON true
            ) AS windows
            OFFSET 0
        ) AS s
        OFFSET 0
    ) AS w
    {%- endif %}
    {%- set named = [] %}
    {%- for feature in recency_features() %}
        {%- do named.append((feature.name, live_recency(feature, transactions, hash8))) %}
    {%- endfor %}
    {{- named_values(named, 'p', is_single=are_derived_from(recency_features())) }}
    {{- rollup_joins(steps, is_single=true) }}
    {%- if row_scan_features() %}
    CROSS JOIN LATERAL (
        {{ window_scan(row_scan_features(), transactions) }}
    ) AS x
    {%- endif %}
{%- endmacro %}

{# Minutes since the user was last there, if that lies in the window. Beside running totals no row is later than the
   candidate, so the newest row at the place is the one, and mostly that is the user's last row anyway: the look for
   another one stands in a function of its own, whose statement is set up only when it is called. For a user without rows
   it is called as well: that is how warm_scoring has it planned. #}
{% macro live_recency(feature, transactions, hash8) -%}
    {%- set key = pair_key(feature) -%}
    {%- if not running_total_features() -%}
    {%- set sql -%}
    (
                SELECT {{ since_within(feature, 'e.occurred_at') }}
                FROM {{ transactions }} AS e
                WHERE e.user_id = p_user_id
                    {%- if key %}
                    AND e.{{ key }} = p_{{ key }}
                    {%- endif %}
                    AND e.occurred_at <= p_occurred_at
                ORDER BY e.occurred_at DESC
                LIMIT 1
            )
    {%- endset -%}
    {{ only_with_key(feature, sql) }}
    {%- elif key -%}
    CASE
                WHEN l.last_{{ key }} = c.{{ key }} THEN {{ since_within(feature, 'l.last_at') }}
                WHEN c.{{ key }} IS NOT NULL
                    THEN features.{{ feature.entity }}_minutes_since_{{ hash8 }}(
                        p_user_id, p_{{ key }}, p_occurred_at, interval '{{ feature.window_hours }} hours'
                    )
            END
    {%- else -%}
    {{ since_within(feature, 'l.last_at') }}
    {%- endif -%}
{%- endmacro %}

{% macro since_within(feature, last_at) -%}
    CASE WHEN {{ last_at }} > {{ window_start(feature.window_hours) }} THEN {{ minutes_since(last_at) }} END
{%- endmacro %}

{# Body of the functions <entity>_minutes_since. A range of time in the index's condition would be asked of every row on
   a page; so it is asked of the row that was found. #}
{% macro minutes_since_at(key, transactions) -%}
BEGIN
    RETURN (
        SELECT CASE WHEN e.occurred_at > p_occurred_at - p_window THEN {{ minutes_since('e.occurred_at', 'p_occurred_at') }} END
        FROM {{ transactions }} AS e
        WHERE e.user_id = p_user_id AND e.{{ key }} = p_{{ key }}
        ORDER BY e.occurred_at DESC
        LIMIT 1
    );
END
{%- endmacro %}
