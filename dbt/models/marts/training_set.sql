{{ config(materialized='replaced_view') }}
-- The current feature list's training set under a name that stays. It begins where retention left windows whole.
SELECT f.user_id, f.transaction_id, f.occurred_at, f.is_history, f.feature_values
FROM {{ ref('training_features') }} AS f
-- Joined, and not a sub-select in the condition: that would keep readers of this view from running in parallel.
CROSS JOIN (SELECT max(r.complete_from) AS complete_from FROM {{ source('scoring', 'retention_runs') }} AS r) AS kept
WHERE f.occurred_at >= coalesce(kept.complete_from, '-infinity')
