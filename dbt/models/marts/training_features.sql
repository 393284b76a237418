{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['user_id', 'transaction_id'],
    on_schema_change='fail',
    indexes=[{'columns': ['user_id', 'transaction_id'], 'unique': True}],
) }}
{#- Rows that were scored live saw what had arrived before them; loaded history goes by event time, ties by
    transaction_id. -#}
{%- set visible -%}
CASE
            WHEN c.is_history THEN (e.occurred_at, e.transaction_id) < (c.occurred_at, c.transaction_id)
            ELSE e.received_at < c.received_at
        END
{%- endset -%}

WITH
{%- if is_incremental() %}
-- What is not built yet, as one span of time a user ...
unbuilt AS (
    SELECT t.user_id, t.transaction_id, t.occurred_at, t.is_history
    FROM {{ ref('stg_transactions') }} AS t
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
{%- endif %}

candidates AS (
    SELECT
        t.*,
        h.home_location
    FROM {{ ref('stg_transactions') }} AS t
    LEFT JOIN {{ ref('int_user_homes') }} AS h
        ON t.user_id = h.user_id
        AND CASE WHEN t.is_history THEN h.covers_history_from ELSE h.valid_from END
            <= CASE WHEN t.is_history THEN t.occurred_at ELSE t.received_at END
        AND CASE WHEN t.is_history THEN t.occurred_at ELSE t.received_at END < h.valid_to
    {%- if is_incremental() %}
    WHERE (t.user_id, t.transaction_id) IN (SELECT u.user_id, u.transaction_id FROM unbuilt AS u)
        -- ... and history that lies within reach of it: by event time it sees rows that came later. More history
        -- changes the merchants' counts as well, for every user: then all of it is reckoned again.
        OR (
            t.is_history
            AND (
                EXISTS (SELECT FROM unbuilt AS u WHERE u.is_history)
                OR EXISTS (
                    SELECT FROM spans AS s
                    WHERE s.user_id = t.user_id AND t.occurred_at BETWEEN s.first_at AND s.last_felt_at
                )
            )
        )
    {%- endif %}
)

SELECT
    c.user_id,
    c.transaction_id,
    c.occurred_at,
    c.is_history,
    {{ feature_values() }} AS feature_values
FROM candidates AS c
{{ lateral_features(ref('stg_transactions'), ref('merchant_days'), visible) }}
