{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['user_id', 'transaction_id'],
    on_schema_change='fail',
    indexes=[{'columns': ['user_id', 'transaction_id'], 'unique': True}],
    post_hook='ANALYZE {{ this }}',
) }}
{#- Rows that were scored live saw what had arrived before them; loaded history goes by event time, ties by
    transaction_id. -#}
{%- set visible -%}
CASE
            WHEN c.is_history THEN (e.occurred_at, e.transaction_id) < (c.occurred_at, c.transaction_id)
            ELSE e.received_at < c.received_at
        END
{%- endset -%}
{%- set transactions = ref('stg_transactions') -%}

WITH
{%- if is_incremental() %}
-- What is not built yet, as one span of time a user ...
unbuilt AS (
    SELECT t.user_id, t.transaction_id, t.occurred_at, t.is_history
    FROM {{ transactions }} AS t
    WHERE NOT EXISTS (
        SELECT FROM {{ this }} AS built
        WHERE built.user_id = t.user_id AND built.transaction_id = t.transaction_id
    )
),

spans AS (
    SELECT
        u.user_id,
        min(u.occurred_at) AS first_at,
        max(u.occurred_at) + interval '{{ longest_window_hours() }} hours' AS last_felt_at
    FROM unbuilt AS u
    GROUP BY u.user_id
),

-- ... and history that lies within reach of it: by event time it sees rows that came later. More history changes the
-- merchants' and users' days as well, for all that happened after it.
wanted AS (
    SELECT u.user_id, u.transaction_id, u.occurred_at
    FROM unbuilt AS u
    UNION
    SELECT t.user_id, t.transaction_id, t.occurred_at
    FROM {{ transactions }} AS t
    INNER JOIN spans AS s ON t.user_id = s.user_id
    WHERE t.is_history AND t.occurred_at BETWEEN s.first_at AND s.last_felt_at
    UNION
    SELECT t.user_id, t.transaction_id, t.occurred_at
    FROM {{ transactions }} AS t
    WHERE t.is_history
        AND t.occurred_at >= (SELECT min(u.occurred_at) FROM unbuilt AS u WHERE u.is_history)
),
{%- endif %}

-- The rows that windows of the candidates can reach.
reachable AS (
    SELECT
        t.user_id,
        t.transaction_id,
        t.occurred_at,
        t.received_at,
        t.is_history,
        t.amount,
        t.merchant_id,
        t.location
    FROM {{ transactions }} AS t
    {%- if is_incremental() %}
    WHERE t.occurred_at > (SELECT min(w.occurred_at) FROM wanted AS w) - interval '{{ longest_window_hours() }} hours'
        AND t.user_id IN (SELECT w.user_id FROM wanted AS w)
    {%- endif %}
),

framed AS (
    {{ framed_features('reachable') }}
),

candidates AS (
    SELECT
        f.*,
        h.home_location
    FROM framed AS f
    LEFT JOIN {{ ref('int_user_homes') }} AS h
        ON f.user_id = h.user_id
        AND CASE WHEN f.is_history THEN h.covers_history_from ELSE h.valid_from END
        <= CASE WHEN f.is_history THEN f.occurred_at ELSE f.received_at END
        AND CASE WHEN f.is_history THEN f.occurred_at ELSE f.received_at END < h.valid_to
    {%- if is_incremental() %}
    WHERE (f.user_id, f.transaction_id) IN (SELECT w.user_id, w.transaction_id FROM wanted AS w)
    {%- endif %}
),

windowed AS (
    SELECT
        c.user_id,
        c.transaction_id,
        c.occurred_at,
        c.is_history,
        c.amount,
        c.merchant_id,
        c.location,
        c.home_location
        {%- for feature in windowed_features() %},
        {{ 'x' if feature in scanned_in_training() else 'c' }}.{{ feature.name }}
        {%- endfor %}
    FROM candidates AS c
    {%- if scanned_in_training() %}
    CROSS JOIN LATERAL (
        {{ scan_of_window(scanned_in_training(), transactions, visible) }}
    ) AS x
    {%- endif %}
    {%- if windowed_features() %}
    WHERE NOT c.is_disorderly
    UNION ALL
    SELECT
        c.user_id,
        c.transaction_id,
        c.occurred_at,
        c.is_history,
        c.amount,
        c.merchant_id,
        c.location,
        c.home_location
        {%- for feature in windowed_features() %},
        x.{{ feature.name }}
        {%- endfor %}
    FROM candidates AS c
    CROSS JOIN LATERAL (
        {{ scan_of_window(windowed_features(), transactions, visible) }}
    ) AS x
    WHERE c.is_disorderly
    {%- endif %}
)

SELECT
    c.user_id,
    c.transaction_id,
    c.occurred_at,
    c.is_history,
    {{ feature_values() }} AS feature_values
FROM windowed AS c
{{ rollup_joins({'merchant': ref('merchant_risk'), 'user': ref('user_risk')}, is_single=false) }}
