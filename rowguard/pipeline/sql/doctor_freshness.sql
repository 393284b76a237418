-- The values that transactions of one day see in {table}, against what was known when that day began, reckoned from the
-- transactions and labels themselves. Counts and shares; sums of amounts come from the same build.
WITH wanted AS (
    SELECT
        d.name,
        d.aggregate,
        d.delay_days,
        d.window_hours / 24 AS days
    FROM features.feature_definitions AS d
    WHERE d.entity = %(entity)s
        AND d.delay_days IS NOT NULL
        AND d.aggregate IN ('count', 'fraud_count', 'fraud_share')
),

known AS (
    SELECT
        t.{key} AS entity_id,
        (t.occurred_at AT TIME ZONE 'UTC')::date AS event_day,
        count(*) AS txns,
        count(*) FILTER (WHERE l.is_fraud) AS frauds
    FROM features.stg_transactions AS t
    LEFT JOIN LATERAL (
        SELECT f.is_fraud
        FROM features.stg_labels AS f
        WHERE f.user_id = t.user_id
            AND f.transaction_id = t.transaction_id
            AND (f.labelled_at AT TIME ZONE 'UTC')::date < %(day)s::date
        ORDER BY f.labelled_at DESC, f.label_id DESC
        LIMIT 1
    ) AS l ON true
    WHERE t.{key} IS NOT NULL
        AND t.occurred_at < (%(day)s::date)::timestamp AT TIME ZONE 'UTC'
        AND t.occurred_at >= (
            %(day)s::date - (SELECT coalesce(max(w.delay_days + w.days), 0) FROM wanted AS w)
        )::timestamp AT TIME ZONE 'UTC'
        AND (t.is_history OR (t.received_at AT TIME ZONE 'UTC')::date < %(day)s::date)
    GROUP BY t.{key}, (t.occurred_at AT TIME ZONE 'UTC')::date
),

expected AS (
    SELECT
        k.entity_id,
        w.name,
        (CASE w.aggregate
            WHEN 'count' THEN sum(k.txns)
            WHEN 'fraud_count' THEN sum(k.frauds)
            ELSE sum(k.frauds)::double precision / sum(k.txns)::double precision
        END)::real AS value
    FROM known AS k
    INNER JOIN wanted AS w
        ON k.event_day BETWEEN %(day)s::date - w.delay_days - w.days AND %(day)s::date - w.delay_days - 1
    GROUP BY k.entity_id, w.name, w.aggregate
),

present AS (
    SELECT DISTINCT ON (r.{key})
        r.{key} AS entity_id,
        to_jsonb(r) AS sums
    FROM {table} AS r
    WHERE r.from_day <= %(day)s::date
    ORDER BY r.{key}, r.from_day DESC
),

stored AS (
    SELECT
        p.entity_id,
        w.name,
        (p.sums ->> w.name)::real AS value
    FROM present AS p
    CROSS JOIN wanted AS w
),

compared AS (
    SELECT
        coalesce(e.entity_id, s.entity_id) AS entity_id,
        e.value AS expected,
        s.value AS stored,
        w.aggregate
    FROM expected AS e
    FULL JOIN stored AS s ON e.entity_id = s.entity_id AND e.name = s.name
    INNER JOIN wanted AS w ON coalesce(e.name, s.name) = w.name
)

SELECT
    count(DISTINCT c.entity_id) AS compared,
    count(DISTINCT c.entity_id) FILTER (
        WHERE CASE
            -- without a row, counts are 0 and shares are missing
            WHEN c.aggregate = 'fraud_share' THEN c.expected IS DISTINCT FROM c.stored
            ELSE coalesce(c.expected, 0) <> coalesce(c.stored, 0)
        END
    ) AS stale
FROM compared AS c
