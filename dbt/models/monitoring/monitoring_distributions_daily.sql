-- Score and features by day against training: population stability index, missing values, mean.
WITH bins AS MATERIALIZED (
    SELECT
        b.event_date,
        b.model_version,
        b.name,
        b.bin,
        b.row_count,
        b.value_sum
    FROM {{ ref('monitoring_bins') }} AS b
),

totals AS (
    SELECT
        b.event_date,
        b.model_version,
        b.name,
        sum(b.row_count) AS row_count,
        sum(b.row_count) FILTER (WHERE b.bin = 0) AS missing_count,
        sum(b.value_sum) AS value_sum
    FROM bins AS b
    GROUP BY b.event_date, b.model_version, b.name
),

fractions AS (
    SELECT
        t.event_date,
        t.model_version,
        t.name,
        part.fraction AS reference_fraction,
        coalesce(b.row_count, 0)::double precision / t.row_count AS live_fraction
    FROM totals AS t
    INNER JOIN {{ ref('monitoring_reference') }} AS d ON t.model_version = d.model_version AND t.name = d.name
    CROSS JOIN LATERAL unnest(d.fractions) WITH ORDINALITY AS part (fraction, position)
    LEFT JOIN bins AS b
        ON t.event_date = b.event_date
        AND t.model_version = b.model_version
        AND t.name = b.name
        AND part.position - 1 = b.bin
),

stability AS (
    SELECT
        s.event_date,
        s.model_version,
        s.name,
        sum(
            (greatest(s.live_fraction, 0.0001) - greatest(s.reference_fraction, 0.0001))
            * ln(greatest(s.live_fraction, 0.0001) / greatest(s.reference_fraction, 0.0001))
        ) AS psi
    FROM fractions AS s
    GROUP BY s.event_date, s.model_version, s.name
)

SELECT
    t.event_date,
    t.model_version,
    t.name,
    t.row_count,
    coalesce(t.missing_count, 0)::double precision / t.row_count AS missing_rate,
    t.value_sum / nullif(t.row_count - coalesce(t.missing_count, 0), 0) AS mean,
    p.psi
FROM totals AS t
INNER JOIN stability AS p
    ON t.event_date = p.event_date AND t.model_version = p.model_version AND t.name = p.name
