-- A transaction's count over the longest window must be the number of its user's earlier transactions, reckoned here
-- a second way: its place among them, less those that were out of the window by then. A row that saw the future or
-- itself has more. Loaded history only: what live rows saw depends on arrival. Not of users of whom something arrived
-- since the build began, as it may have been seen or not.
-- Of the training set's own rows, which training_set_is_complete compares with the transactions. In two halves, whose
-- sorts fit into memory.
-- depends_on: {{ ref('training_set') }}
{%- set names = feature_names() %}
{%- set counts = totalled_features() | selectattr('aggregate', 'equalto', 'count') | list %}
{%- set counts = counts | sort(attribute='window_hours') %}
{%- if counts %}
{%- set feature = counts[-1] %}
SELECT
    f.user_id,
    f.transaction_id,
    f.earlier,
    f.seen
FROM (
    {%- for half in [0, 1] %}
    SELECT h.*
    FROM (
        SELECT
            c.*,
            row_number() OVER (PARTITION BY c.user_id ORDER BY c.occurred_at, c.transaction_id) - 1
            - count(*) OVER (
                PARTITION BY c.user_id
                ORDER BY c.occurred_at
                RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '{{ feature.window_hours }} hours' PRECEDING
            ) AS earlier
        FROM (
            SELECT
                t.user_id,
                t.transaction_id,
                t.occurred_at,
                t.is_history,
                t.feature_values[{{ names.index(feature.name) + 1 }}] AS seen
            FROM {{ ref('training_features') }} AS t
            -- Not "= 0": the planner would expect next to none.
            WHERE (t.user_id & 1) <> {{ half }}
            -- Sorts the one value and not all of them.
            OFFSET 0  -- noqa: AM09
        ) AS c
    ) AS h
    WHERE h.is_history AND h.seen IS DISTINCT FROM h.earlier
    {%- if not loop.last %}
    UNION ALL
    {%- endif %}
    {%- endfor %}
) AS f
CROSS JOIN (SELECT max(r.complete_from) AS complete_from FROM {{ source('scoring', 'retention_runs') }} AS r) AS kept
WHERE f.occurred_at >= coalesce(kept.complete_from, '-infinity')
    AND NOT EXISTS (
        SELECT FROM {{ ref('stg_transactions') }} AS t
        WHERE t.user_id = f.user_id AND t.received_at >= '{{ run_started_at.isoformat() }}'::timestamptz
    )
{%- else %}
SELECT 1 AS no_count_to_compare
WHERE false
{%- endif %}
