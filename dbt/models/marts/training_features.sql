{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['user_id', 'transaction_id'],
    on_schema_change='fail',
    indexes=[{'columns': ['transaction_id', 'user_id'], 'unique': True}],
    pre_hook=['{{ begin_build(["training", "merchant", "user"]) }}', '{{ take_changes() }}'],
    post_hook=['{{ forget_deleted_rows(this) }}', '{{ analyze_if_worth_it(this, "training_wanted") }}'],
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
    WHERE t.user_id IN (SELECT w.user_id FROM training_wanted AS w WHERE w.is_framed)
        AND t.occurred_at > (
            SELECT min(w.occurred_at) FROM training_wanted AS w WHERE w.is_framed
        ) - interval '{{ longest_window_hours() }} hours'
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
    WHERE (f.user_id, f.transaction_id) IN (SELECT w.user_id, w.transaction_id FROM training_wanted AS w)
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
        SELECT
            {{ columns | join(', ') }}
            {{- window_starts() }}
        FROM framed_candidates AS c
        WHERE {{ 'is_disorderly' if windowed_features() else 'false' }}
        {%- if is_incremental() %}
        UNION ALL
        SELECT
            c.{{ columns | join(', c.') }}
            {{- window_starts() }}
        FROM {{ transactions }} AS c
        INNER JOIN training_wanted AS w ON c.user_id = w.user_id AND c.transaction_id = w.transaction_id
        WHERE NOT w.is_framed
        {%- endif %}
    ) AS c
    {%- if windowed_features() %}
    CROSS JOIN LATERAL (
        {{ scan_of_window(windowed_features(), transactions, visible, has_starts=true) }}
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
