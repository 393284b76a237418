-- Every transaction has its features exactly once, and as many as the list has. Payments go on while this is built:
-- what arrived since the build began is the next build's.
SELECT
    t.user_id,
    t.transaction_id
FROM {{ ref('stg_transactions') }} AS t
LEFT JOIN {{ ref('training_features') }} AS f
    ON t.user_id = f.user_id AND t.transaction_id = f.transaction_id
WHERE (
        f.user_id IS NULL
        AND t.received_at < '{{ run_started_at.isoformat() }}'::timestamptz
    )
    OR cardinality(f.feature_values) <> {{ feature_names() | length }}
