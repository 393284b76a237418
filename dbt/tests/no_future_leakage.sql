-- A count over the longest window must be the number of the user's earlier transactions, computed a second way: the
-- rows up to this one, less those that had left the window. A row that saw itself or the future has more.
-- Of a sample of users, and of loaded history only: what live rows saw depends on arrival.
{%- set counts = features_of('running_total') | selectattr('aggregate', 'equalto', 'count') %}
{%- set feature = (counts | sort(attribute='window_hours'))[-1] %}
WITH counted AS (
    SELECT
        t.user_id,
        t.transaction_id,
        t.is_history,
        row_number() OVER (PARTITION BY t.user_id ORDER BY t.occurred_at, t.transaction_id) - 1
        - count(*) OVER (
            PARTITION BY t.user_id
            ORDER BY t.occurred_at
            RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '{{ feature.window_hours }} hours' PRECEDING
        ) AS earlier_count
    FROM {{ ref('stg_transactions') }} AS t
    WHERE t.received_at < '{{ run_started_at }}'::timestamptz AND (hashint8(t.user_id) & 7) = 0
)

SELECT
    f.user_id,
    f.transaction_id,
    c.earlier_count,
    f.feature_values[{{ feature_names().index(feature.name) + 1 }}] AS stored_count
FROM counted AS c
INNER JOIN {{ ref('training_set') }} AS f ON c.user_id = f.user_id AND c.transaction_id = f.transaction_id
WHERE c.is_history
    AND f.feature_values[{{ feature_names().index(feature.name) + 1 }}] IS DISTINCT FROM c.earlier_count
