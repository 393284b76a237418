{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    indexes=[{'columns': ['merchant_id', 'valid_from'], 'unique': True}],
    pre_hook="{{ delete_rows_to_rebuild() }}",
    post_hook=[
        "{{ comment_features(this, features_of('rollup')) }}",
        {'sql': 'VACUUM (ANALYZE) {{ this }}', 'transaction': False},
    ],
) }}
{%- set features = features_of('rollup') %}
{%- set windows = rollup_windows() %}
{%- set first_date = rebuild_from() %}
-- Type-2 rows: what happened on `event_date` and became known on `known_date` enters a window when the window's end has
-- passed the first and the current date the second. It leaves when the window's start has passed it.
{%- if not features %}
SELECT NULL::bigint AS merchant_id, NULL::date AS valid_from WHERE false
{%- else %}
WITH changes AS (
    -- What each daily sum adds to all windows of a delay (`window_days` 0), and takes from each window again.
    SELECT
        d.merchant_id,
        -- What changed before the first date only counts towards the sums that it starts with.
        greatest(m.valid_from, date '{{ first_date }}' - 1) AS valid_from,
        m.delay,
        m.window_days,
        d.known_date - d.event_date AS known_after,
        m.sign * d.txns AS txns,
        m.sign * d.frauds AS frauds,
        m.sign * d.amount AS amount
    FROM {{ ref('int_merchant_daily_sums') }} AS d
    CROSS JOIN LATERAL (
        VALUES
        {%- for delay in windows | map(attribute='delay') | unique %}
        ({{ delay }}, 0, 1, greatest(d.event_date + {{ delay + 1 }}, d.known_date + 1)),
        {%- endfor %}
        {%- for window in windows %}
        ({{ window.delay }}, {{ window.days }}, -1, d.event_date + {{ window.end + 1 }}){{ ',' if not loop.last }}
        {%- endfor %}
    ) AS m (delay, window_days, sign, valid_from)
    WHERE d.event_date >= date '{{ first_date }}' - {{ (windows | map(attribute='end') | max) + 1 }}
),

-- Rows of one date are peers: each holds the sums of all of them, and all but one are left out below.
sums AS (
    SELECT
        c.merchant_id,
        c.valid_from
        {#- What became known after a window had passed never enters it. #}
        {%- for window in windows %}
        {%- for what in ['txns', 'frauds', 'amount'] %},
        coalesce(sum(c.{{ what }}) FILTER (
            WHERE c.delay = {{ window.delay }}
                AND c.window_days IN (0, {{ window.days }})
                AND c.known_after < {{ window.end }}
        ) OVER so_far, 0) AS {{ rollup_column(what, window) }}
        {%- endfor %}
        {%- endfor %}
    FROM changes AS c
    WINDOW so_far AS (PARTITION BY c.merchant_id ORDER BY c.valid_from)
),

valued AS (
    SELECT
        s.merchant_id,
        s.valid_from
        {%- for feature in features %},
        ({{ rollup_expression(feature) }})::real AS {{ feature.name }}
        {%- endfor %}
    FROM sums AS s
),

compared AS (
    SELECT
        v.*,
        lag({{ rollup_row('v') }}, 1, {{ rollup_row() }}) OVER (
            PARTITION BY v.merchant_id ORDER BY v.valid_from
        ) AS previous_values
    FROM valued AS v
)

SELECT
    c.merchant_id,
    c.valid_from
    {%- for feature in features %},
    c.{{ feature.name }}
    {%- endfor %}
FROM compared AS c
WHERE c.valid_from >= '{{ first_date }}' AND {{ rollup_row('c') }} IS DISTINCT FROM c.previous_values
-- Dates that transactions read today lie together on the pages.
ORDER BY c.valid_from
{%- endif %}
