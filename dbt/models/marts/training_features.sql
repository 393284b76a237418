{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['user_id', 'transaction_id'],
    on_schema_change='fail',
    indexes=[{'columns': ['user_id', 'transaction_id'], 'unique': True}],
    pre_hook='{{ take_changes() }}',
    post_hook=['{{ forget_deleted_rows(this) }}', 'ANALYZE {{ this }}'],
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
-- What is not built yet or there no more, as one span of time a user ...
unbuilt AS (
    SELECT t.user_id, t.transaction_id, t.occurred_at
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
    FROM (SELECT user_id, occurred_at FROM unbuilt UNION ALL SELECT user_id, occurred_at FROM training_rows_gone) AS u
    GROUP BY u.user_id
),

-- ... history that lies within reach of it, which by event time sees rows that came later, and what happened on days for
-- which the sums over days changed.
wanted AS (
    SELECT u.user_id, u.transaction_id
    FROM unbuilt AS u
    UNION
    SELECT t.user_id, t.transaction_id
    FROM {{ transactions }} AS t
    INNER JOIN spans AS s ON t.user_id = s.user_id
    WHERE t.is_history AND t.occurred_at BETWEEN s.first_at AND s.last_felt_at
    {%- for entity in ['merchant', 'user'] if rolled_features(entity) %}
    UNION
    SELECT t.user_id, t.transaction_id
    FROM {{ transactions }} AS t
    INNER JOIN {{ entity }}_felt AS x
        ON t.{{ entity }}_id = x.entity_id AND (t.occurred_at AT TIME ZONE 'UTC')::date >= x.from_day
    {%- endfor %}
),

-- Frames pass over all rows of a user's longest window, which is worth it only for users with many rows to build.
framed_users AS (
    SELECT w.user_id
    FROM wanted AS w
    GROUP BY w.user_id
    HAVING count(*) > {{ rows_worth_a_frame() }}
),

first_wanted AS (
    SELECT min(t.occurred_at) AS first_at
    FROM {{ transactions }} AS t
    INNER JOIN wanted AS w ON t.user_id = w.user_id AND t.transaction_id = w.transaction_id
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
    WHERE t.occurred_at > (SELECT f.first_at FROM first_wanted AS f) - interval '{{ longest_window_hours() }} hours'
        AND t.user_id IN (SELECT f.user_id FROM framed_users AS f)
    {%- endif %}
),

framed AS (
    {{ framed_features('reachable') }}
),

{% set columns = [
    'user_id', 'transaction_id', 'occurred_at', 'received_at', 'is_history', 'amount', 'merchant_id', 'location',
] -%}
framed_candidates AS (
    SELECT f.*
    FROM framed AS f
    {%- if is_incremental() %}
    WHERE (f.user_id, f.transaction_id) IN (SELECT w.user_id, w.transaction_id FROM wanted AS w)
    {%- endif %}
),

windowed AS (
    SELECT
        c.{{ columns | join(', c.') }}
        {%- for feature in windowed_features() %},
        {{ 'x' if feature in scanned_in_training() else 'c' }}.{{ feature.name }}
        {%- endfor %}
    FROM framed_candidates AS c
    {%- if scanned_in_training() %}
    CROSS JOIN LATERAL (
        {{ scan_of_window(scanned_in_training(), transactions, visible) }}
    ) AS x
    {%- endif %}
    {%- if windowed_features() %}
    WHERE NOT c.is_disorderly
    {%- endif %}
    {%- if windowed_features() or is_incremental() %}
    UNION ALL
    SELECT
        c.{{ columns | join(', c.') }}
        {%- for feature in windowed_features() %},
        x.{{ feature.name }}
        {%- endfor %}
    FROM (
        SELECT {{ columns | join(', ') }}
        FROM framed_candidates
        WHERE {{ 'is_disorderly' if windowed_features() else 'false' }}
        {%- if is_incremental() %}
        UNION ALL
        SELECT t.{{ columns | join(', t.') }}
        FROM {{ transactions }} AS t
        INNER JOIN wanted AS w ON t.user_id = w.user_id AND t.transaction_id = w.transaction_id
        WHERE t.user_id NOT IN (SELECT f.user_id FROM framed_users AS f)
        {%- endif %}
    ) AS c
    {%- if windowed_features() %}
    CROSS JOIN LATERAL (
        {{ scan_of_window(windowed_features(), transactions, visible) }}
    ) AS x
    {%- endif %}
    {%- endif %}
),

candidates AS (
    SELECT
        w.*,
        h.home_location
    FROM windowed AS w
    LEFT JOIN {{ ref('int_user_homes') }} AS h
        ON w.user_id = h.user_id
        AND CASE WHEN w.is_history THEN h.covers_history_from ELSE h.valid_from END
        <= CASE WHEN w.is_history THEN w.occurred_at ELSE w.received_at END
        AND CASE WHEN w.is_history THEN w.occurred_at ELSE w.received_at END < h.valid_to
)

SELECT
    c.user_id,
    c.transaction_id,
    c.occurred_at,
    c.is_history,
    {{ feature_values() }} AS feature_values
FROM candidates AS c
{{ rollup_joins({'merchant': ref('merchant_risk'), 'user': ref('user_risk')}, is_single=false) }}
