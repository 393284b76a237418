-- A transaction's count over the longest window must be the number of its user's earlier transactions, reckoned
-- here by a running count; a row that saw the future or itself has more. Loaded history only: what live rows saw
-- depends on arrival. Not of users of whom something arrived since the build began, as it may have been seen or not.
{%- set names = feature_names() %}
{%- set counts = totalled_features() | selectattr('aggregate', 'equalto', 'count') | list %}
{%- set counts = counts | sort(attribute='window_hours') %}
{%- if counts %}
{%- set feature = counts[-1] %}
WITH counted AS (
    SELECT
        t.user_id,
        t.transaction_id,
        count(*) OVER (
            PARTITION BY t.user_id
            ORDER BY t.occurred_at
            RANGE BETWEEN INTERVAL '{{ feature.window_hours - 1 }}:59:59.999999' PRECEDING AND CURRENT ROW
        ) - count(*) OVER (
            PARTITION BY t.user_id, t.occurred_at
            ORDER BY t.transaction_id
            ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS earlier,
        max(t.received_at) OVER (PARTITION BY t.user_id) AS last_received_at
    FROM {{ ref('stg_transactions') }} AS t
)

SELECT
    f.user_id,
    f.transaction_id,
    c.earlier,
    f.feature_values[{{ names.index(feature.name) + 1 }}] AS seen
FROM {{ ref('training_set') }} AS f
INNER JOIN counted AS c ON f.user_id = c.user_id AND f.transaction_id = c.transaction_id
WHERE f.is_history
    AND c.last_received_at < '{{ run_started_at.isoformat() }}'::timestamptz
    AND f.feature_values[{{ names.index(feature.name) + 1 }}] <> c.earlier
{%- else %}
SELECT 1 AS no_count_to_compare
WHERE false
{%- endif %}
