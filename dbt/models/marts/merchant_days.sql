{{ config(
    materialized='table',
    indexes=[{'columns': ['merchant_id', 'event_day']}],
) }}
-- Keyed by the day of knowledge as well, so that any past day sees only what was known when it began.
WITH transactions AS (
    SELECT
        t.user_id,
        t.transaction_id,
        t.merchant_id,
        (t.occurred_at AT TIME ZONE 'UTC')::date AS event_day,
        -- Loaded history counts as known when it happened.
        ((CASE WHEN t.is_history THEN t.occurred_at ELSE t.received_at END) AT TIME ZONE 'UTC')::date AS known_day
    FROM {{ ref('stg_transactions') }} AS t
    WHERE t.merchant_id IS NOT NULL
),

findings AS (
    SELECT
        l.user_id,
        l.transaction_id,
        (l.labelled_at AT TIME ZONE 'UTC')::date AS known_day,
        l.is_fraud::integer - lag(l.is_fraud::integer, 1, 0) OVER (
            PARTITION BY l.user_id, l.transaction_id
            ORDER BY l.labelled_at, l.label_id
        ) AS fraud_change
    FROM {{ ref('stg_labels') }} AS l
    -- A transaction that was never called a fraud changes nothing.
    WHERE (l.user_id, l.transaction_id) IN (
        SELECT f.user_id, f.transaction_id FROM {{ ref('stg_labels') }} AS f WHERE f.is_fraud
    )
),

changes AS (
    SELECT
        t.merchant_id,
        t.event_day,
        t.known_day,
        1 AS txn_count,
        0 AS fraud_change
    FROM transactions AS t
    UNION ALL
    SELECT
        t.merchant_id,
        t.event_day,
        f.known_day,
        0 AS txn_count,
        f.fraud_change
    FROM findings AS f
    INNER JOIN transactions AS t ON f.user_id = t.user_id AND f.transaction_id = t.transaction_id
    WHERE f.fraud_change <> 0
)

SELECT
    c.merchant_id,
    c.event_day,
    c.known_day,
    sum(c.txn_count)::bigint AS txn_count,
    sum(c.fraud_change)::bigint AS fraud_change
FROM changes AS c
GROUP BY c.merchant_id, c.event_day, c.known_day
