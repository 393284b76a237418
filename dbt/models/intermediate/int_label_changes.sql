-- The labels that change whether a transaction counts as fraud: the first of a fraud, and each that says otherwise.
WITH changes AS (
    SELECT
        l.user_id,
        l.transaction_id,
        (l.labelled_at AT TIME ZONE 'UTC')::date AS known_date,
        l.is_fraud::integer - lag(l.is_fraud::integer, 1, 0) OVER (
            PARTITION BY l.user_id, l.transaction_id
            ORDER BY l.labelled_at, l.label_id
        ) AS fraud_change
    FROM {{ ref('stg_labels') }} AS l
    -- Most transactions are never called a fraud; their labels need no sort.
    WHERE (l.user_id, l.transaction_id) IN (
        SELECT f.user_id, f.transaction_id
        FROM {{ ref('stg_labels') }} AS f
        WHERE f.is_fraud
    )
)

SELECT c.user_id, c.transaction_id, c.known_date, c.fraud_change
FROM changes AS c
WHERE c.fraud_change <> 0
