-- How the live rows of a day fall into the bins of training: at most 2,000 rows a day and version, chosen by a hash.
WITH sampled AS MATERIALIZED (
    SELECT r.event_date, r.model_version, r.seen_values
    FROM (
        SELECT
            rows.event_date,
            rows.model_version,
            ARRAY[rows.fraud_probability] || rows.feature_values::double precision[] AS seen_values,
            row_number() OVER (
                PARTITION BY rows.event_date, rows.model_version ORDER BY hashint8(rows.transaction_id)
            ) AS position
        FROM {{ ref('monitoring_transactions') }} AS rows
        WHERE rows.model_version IS NOT NULL
    ) AS r
    WHERE r.position <= 2000
),

reference AS MATERIALIZED (
    SELECT d.model_version, d.name, d.position, d.edges
    FROM {{ ref('monitoring_reference') }} AS d
),

-- By position first: one comparison a value.
binned AS (
    SELECT
        s.event_date,
        s.model_version,
        d.name,
        v.value,
        CASE WHEN v.value IS NULL THEN 0 ELSE width_bucket(v.value, d.edges) + 1 END AS bin
    FROM sampled AS s
    CROSS JOIN LATERAL unnest(s.seen_values) WITH ORDINALITY AS v (value, value_position)
    INNER JOIN reference AS d ON s.model_version = d.model_version AND v.value_position - 1 = d.position
)

SELECT
    b.event_date,
    b.model_version,
    b.name,
    b.bin,
    count(*) AS row_count,
    sum(b.value) AS value_sum
FROM binned AS b
GROUP BY b.event_date, b.model_version, b.name, b.bin
