-- A few rows may differ for reasons that cannot be repaired (a home that changed, or history that was loaded, during
-- an INSERT; an INSERT under REPEATABLE READ): they are reported. Many are a defect.
{{ config(warn_if='>0', error_if='>100') }}
SELECT
    f.user_id,
    f.transaction_id,
    f.live_values,
    f.recomputed_values
FROM {{ ref('monitoring_recomputed_features') }} AS f
WHERE f.has_window_skew
