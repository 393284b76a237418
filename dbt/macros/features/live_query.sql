{# The features of one scoring request, in one statement: the user's last row `l` holds the running totals through it,
   the first row of each window those before it, and their difference is the window's. The values are NULL where totals
   cannot give them: the request is late, or a row of the user is pending; then the rows are scanned. So it is for a user
   without rows, for whom the statement returns none.

   Arguments: the relations of transactions and users; of the merchants' rollups; `hash8` ends the names of the
   functions that it calls. Columns after the values: time of the user's last row, NULL where a row is pending, and the
   totals through it. #}
{% macro live_query(transactions, users, merchant_risk, hash8) -%}
    {%- set totalled = features_of('running_total') -%}
    {%- set hours = totalled | map(attribute='window_hours') | unique | list -%}
    {%- set aggregates = totalled | map(attribute='aggregate') | unique | list -%}
    SELECT
        CASE
            WHEN l.last_occurred_at > c.occurred_at OR l.totals_pending THEN NULL
            ELSE {{ feature_values() }}
        END,
        CASE WHEN NOT l.totals_pending THEN l.last_occurred_at END,
        l.txns_through,
        l.amount_through,
        l.amount_squares_through
    FROM (
        SELECT
            p_request.user_id AS user_id,
            p_request.amount AS amount,
            p_request.merchant_id AS merchant_id,
            p_request.location AS location,
            p_request.occurred_at AS occurred_at,
            (SELECT u.home_location FROM {{ users }} AS u WHERE u.user_id = p_request.user_id) AS home_location
    ) AS c
    -- No row for a user without transactions: the row scan computes their first features.
    CROSS JOIN LATERAL (
        SELECT
            e.occurred_at AS last_occurred_at,
            e.user_txns_before + 1 AS txns_through,
            e.user_amount_before + e.amount AS amount_through,
            e.user_amount_squares_before + e.amount * e.amount AS amount_squares_through,
            {%- for key in recency_keys() %}
            e.{{ key }} AS last_{{ key }},
            {%- endfor %}
            EXISTS (SELECT FROM {{ transactions }} AS n WHERE n.user_id = p_request.user_id AND n.user_txns_before IS NULL) AS totals_pending
        FROM {{ transactions }} AS e
        WHERE e.user_id = p_request.user_id
        ORDER BY e.occurred_at DESC, e.user_txns_before DESC
        LIMIT 1
    ) AS l
    CROSS JOIN LATERAL (
        -- Both OFFSETs keep the planner from copying these expressions into each derived feature.
        SELECT
        {%- for feature in totalled %}
            s.windows[{{ hours.index(feature.window_hours) + 1 }}][{{ aggregates.index(feature.aggregate) + 1 }}] AS {{ feature.name }}{{ ',' if not loop.last }}
        {%- endfor %}
        FROM (
            -- A row per window, in the order of the windows (a nested loop keeps it), a column per aggregate. Expressions
            -- are built once for all windows here; next to each feature's name they would be built for each.
            SELECT ARRAY(
                SELECT ARRAY[
                {%- for aggregate in aggregates %}
                    {{ aggregate_value(aggregate, 'f.txns', 'f.amount', 'f.squares') }}{{ ',' if not loop.last }}
                {%- endfor %}
                ]
                FROM (VALUES {% for window in hours %}(interval '{{ window }} hours'){{ ', ' if not loop.last }}{% endfor %}) AS w (length)
                LEFT JOIN LATERAL (
                    SELECT
                        l.txns_through - e.user_txns_before AS txns,
                        l.amount_through - e.user_amount_before AS amount,
                        l.amount_squares_through - e.user_amount_squares_before AS squares
                    FROM {{ transactions }} AS e
                    WHERE e.user_id = p_request.user_id AND e.occurred_at > p_request.occurred_at - w.length
                    ORDER BY e.occurred_at, e.user_txns_before
                    LIMIT 1
                ) AS f ON true
            ) AS windows
            OFFSET 0
        ) AS s
        OFFSET 0
    ) AS w
    {%- set named = [] %}
    {%- for feature in features_of('recency') %}
        {%- do named.append((feature.name, live_recency(feature, transactions, hash8))) %}
    {%- endfor %}
    {{- named_values(named, 'p', is_single=are_derived_from(features_of('recency'))) }}
    {{- rollup_joins(merchant_risk, is_single=true) }}
    {%- if features_of('row_scan') %}
    CROSS JOIN LATERAL (
        {{ window_scan(features_of('row_scan'), transactions) }}
    ) AS x
    {%- endif %}
{%- endmacro %}

{# Minutes since the user was last there, if that is in the window. Next to running totals no row is later than the
   request, so the newest row there is the one, and usually that is the user's last row: the lookup of another one is in a
   separate function, whose statement is set up only when it is called. #}
{% macro live_recency(feature, transactions, hash8) -%}
    {%- set key = feature.key -%}
    {%- if key -%}
    CASE
                WHEN l.last_{{ key }} = c.{{ key }} THEN {{ since_within(feature, 'l.last_occurred_at') }}
                WHEN c.{{ key }} IS NOT NULL
                    THEN features.{{ feature.entity }}_minutes_since_{{ hash8 }}(
                        p_request.user_id, p_request.{{ key }}, p_request.occurred_at, interval '{{ feature.window_hours }} hours'
                    )
            END
    {%- else -%}
    {{ since_within(feature, 'l.last_occurred_at') }}
    {%- endif -%}
{%- endmacro %}

{% macro since_within(feature, last_at) -%}
    CASE WHEN {{ last_at }} > {{ window_start(feature.window_hours) }} THEN {{ minutes_since(last_at) }} END
{%- endmacro %}

{# Body of the functions <entity>_minutes_since. A range of time in the index condition would be checked for every row on
   a page; so it is checked for the row that was found. #}
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
