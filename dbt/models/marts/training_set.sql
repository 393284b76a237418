{{ config(materialized='replaced_view') }}
-- The current feature list's training set under a name that stays.
SELECT
    f.user_id,
    f.transaction_id,
    f.occurred_at,
    f.is_history,
    f.feature_values
FROM {{ ref('training_features') }} AS f
