{{ config(materialized='table', post_hook='ANALYZE {{ this }}') }}
{%- set columns = [
    'user_id', 'transaction_id', 'occurred_at', 'received_at', 'is_history', 'amount', 'merchant_id', 'location',
] %}
{%- set not_rollups = feature_list() | rejectattr('kind', 'equalto', 'rollup') | list %}
-- Live rows of the last 7 days whose features are computed again from the transactions, and what the model saw. It
-- shows that online and offline are the same. At most 2,000 rows per day, chosen by a hash. Without users who have a row
-- with features_caveat: what concurrent transactions saw of each other then cannot be told afterwards.
WITH sampled AS (
    SELECT
        {{ columns | join(', ') }},
        feature_values
    FROM (
        SELECT
            r.*,
            row_number() OVER (
                PARTITION BY (r.received_at AT TIME ZONE 'UTC')::date ORDER BY hashint8(r.transaction_id)
            ) AS position
        FROM {{ ref('int_training_rows') }} AS r
        WHERE r.is_logged AND r.is_complete AND r.received_at >= now() - interval '7 days'
            AND NOT EXISTS (
                SELECT FROM {{ source('public', 'transactions') }} AS t
                WHERE t.user_id = r.user_id AND t.features_caveat IS NOT NULL
            )
    ) AS ranked
    WHERE position <= 2000
),

windowed AS (
    {{ row_scan_query('sampled', columns) }}
),

recomputed AS (
    {{ point_in_time_values('windowed') }}
)

SELECT
    s.user_id,
    s.transaction_id,
    s.occurred_at,
    s.received_at,
    s.feature_values AS live_values,
    r.feature_values AS recomputed_values,
    ({{ values_of(not_rollups, 's.feature_values') }}
    IS DISTINCT FROM {{ values_of(not_rollups, 'r.feature_values') }}) AS has_window_skew,
    ({{ values_of(features_of('rollup'), 's.feature_values') }}
    IS DISTINCT FROM {{ values_of(features_of('rollup'), 'r.feature_values') }}) AS has_rollup_skew
FROM sampled AS s
INNER JOIN recomputed AS r ON s.user_id = r.user_id AND s.transaction_id = r.transaction_id
