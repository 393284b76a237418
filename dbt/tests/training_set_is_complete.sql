-- Every transaction that can be trained on has its features, one value per feature. What arrived since the build
-- started is the next build's.
-- depends_on: {{ ref('training_set') }}
SELECT
    r.user_id,
    r.transaction_id
FROM {{ ref('int_training_rows') }} AS r
LEFT JOIN {{ ref('training_features') }} AS f
    ON r.user_id = f.user_id AND r.transaction_id = f.transaction_id
WHERE r.is_complete
    AND r.received_at < '{{ run_started_at }}'::timestamptz
    AND cardinality(f.feature_values) IS DISTINCT FROM {{ feature_names() | length }}
