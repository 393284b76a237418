-- Rows that were decided after midnight and before the nightly build, or before a label was entered with an earlier
-- date, did not see what is known by now: a warning.
{{ config(severity='warn') }}
SELECT
    f.user_id,
    f.transaction_id,
    f.live_values,
    f.recomputed_values
FROM {{ ref('monitoring_recomputed_features') }} AS f
WHERE f.has_rollup_skew
