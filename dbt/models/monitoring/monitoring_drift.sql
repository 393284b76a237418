-- Score and features of the last 7 days with live rows, together, against training: per version and name.
WITH bins AS MATERIALIZED (
    SELECT
        b.model_version,
        b.name,
        b.bin,
        b.row_count
    FROM {{ ref('monitoring_bins') }} AS b
    WHERE b.event_date > (now() AT TIME ZONE 'UTC')::date - 7
),

counted AS (
    SELECT
        b.model_version,
        b.name,
        b.bin,
        sum(b.row_count) AS row_count
    FROM bins AS b
    GROUP BY b.model_version, b.name, b.bin
),

totals AS (
    SELECT
        c.model_version,
        c.name,
        sum(c.row_count) AS row_count
    FROM counted AS c
    GROUP BY c.model_version, c.name
),

fractions AS (
    SELECT
        t.model_version,
        t.name,
        t.row_count,
        part.position - 1 AS bin,
        part.fraction AS reference_fraction,
        coalesce(c.row_count, 0)::double precision / t.row_count AS live_fraction
    FROM totals AS t
    INNER JOIN {{ ref('monitoring_reference') }} AS d ON t.model_version = d.model_version AND t.name = d.name
    CROSS JOIN LATERAL unnest(d.fractions) WITH ORDINALITY AS part (fraction, position)
    LEFT JOIN counted AS c
        ON t.model_version = c.model_version AND t.name = c.name AND part.position - 1 = c.bin
)

SELECT
    s.model_version,
    s.name,
    max(s.row_count) AS row_count,
    sum(
        (greatest(s.live_fraction, 0.0001) - greatest(s.reference_fraction, 0.0001))
        * ln(greatest(s.live_fraction, 0.0001) / greatest(s.reference_fraction, 0.0001))
    ) AS psi,
    array_agg(s.live_fraction ORDER BY s.bin) AS live_fractions,
    array_agg(s.reference_fraction ORDER BY s.bin) AS reference_fractions
FROM fractions AS s
GROUP BY s.model_version, s.name
