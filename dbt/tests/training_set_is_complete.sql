-- Every transaction has its features exactly once, and as many as the list has.
SELECT
    t.user_id,
    t.transaction_id
FROM {{ ref('stg_transactions') }} AS t
LEFT JOIN {{ ref('training_features') }} AS f
    ON t.user_id = f.user_id AND t.transaction_id = f.transaction_id
WHERE f.user_id IS NULL
    OR cardinality(f.feature_values) <> {{ feature_names() | length }}
