-- Score and features of the last 7 days with live rows, together, against training: per version and name.
WITH bins AS MATERIALIZED (
    SELECT
        b.model_version,
        b.name,
        b.bin,
        b.row_count
    FROM {{ ref('monitoring_bins') }} AS b
    WHERE b.event_day > (now() AT TIME ZONE 'UTC')::date - 7
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

shares AS (
    SELECT
        t.model_version,
        t.name,
        t.row_count,
        part.place - 1 AS bin,
        part.share AS reference_share,
        coalesce(c.row_count, 0)::double precision / t.row_count AS live_share
    FROM totals AS t
    INNER JOIN {{ ref('monitoring_reference') }} AS d ON t.model_version = d.model_version AND t.name = d.name
    CROSS JOIN LATERAL unnest(d.shares) WITH ORDINALITY AS part (share, place)
    LEFT JOIN counted AS c
        ON t.model_version = c.model_version AND t.name = c.name AND part.place - 1 = c.bin
)

SELECT
    s.model_version,
    s.name,
    max(s.row_count) AS row_count,
    sum(
        (greatest(s.live_share, 0.0001) - greatest(s.reference_share, 0.0001))
        * ln(greatest(s.live_share, 0.0001) / greatest(s.reference_share, 0.0001))
    ) AS psi,
    array_agg(s.live_share ORDER BY s.bin) AS live_shares,
    array_agg(s.reference_share ORDER BY s.bin) AS reference_shares
FROM shares AS s
GROUP BY s.model_version, s.name
