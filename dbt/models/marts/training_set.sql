{{ config(materialized='replaced_view') }}
-- The current feature list's training set under a name that stays. It begins where retention left windows whole.
SELECT
    f.user_id,
    f.transaction_id,
    f.occurred_at,
    f.is_history,
    f.feature_values
FROM {{ ref('training_features') }} AS f
WHERE f.occurred_at >= coalesce(
    (SELECT max(r.complete_from) FROM {{ source('scoring', 'retention_runs') }} AS r), '-infinity'
)
