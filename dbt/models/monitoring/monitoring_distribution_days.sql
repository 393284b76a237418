-- Score and features by day against training: population stability index, missing values, mean.
WITH bins AS MATERIALIZED (
    SELECT
        b.event_day,
        b.model_version,
        b.name,
        b.bin,
        b.row_count,
        b.value_sum
    FROM {{ ref('monitoring_bins') }} AS b
),

totals AS (
    SELECT
        b.event_day,
        b.model_version,
        b.name,
        sum(b.row_count) AS row_count,
        sum(b.row_count) FILTER (WHERE b.bin = 0) AS missing_count,
        sum(b.value_sum) AS value_sum
    FROM bins AS b
    GROUP BY b.event_day, b.model_version, b.name
),

shares AS (
    SELECT
        t.event_day,
        t.model_version,
        t.name,
        part.share AS reference_share,
        coalesce(b.row_count, 0)::double precision / t.row_count AS live_share
    FROM totals AS t
    INNER JOIN {{ ref('monitoring_reference') }} AS d ON t.model_version = d.model_version AND t.name = d.name
    CROSS JOIN LATERAL unnest(d.shares) WITH ORDINALITY AS part (share, place)
    LEFT JOIN bins AS b
        ON t.event_day = b.event_day
        AND t.model_version = b.model_version
        AND t.name = b.name
        AND part.place - 1 = b.bin
),

stability AS (
    SELECT
        s.event_day,
        s.model_version,
        s.name,
        sum(
            (greatest(s.live_share, 0.0001) - greatest(s.reference_share, 0.0001))
            * ln(greatest(s.live_share, 0.0001) / greatest(s.reference_share, 0.0001))
        ) AS psi
    FROM shares AS s
    GROUP BY s.event_day, s.model_version, s.name
)

SELECT
    t.event_day,
    t.model_version,
    t.name,
    t.row_count,
    coalesce(t.missing_count, 0)::double precision / t.row_count AS missing_share,
    t.value_sum / nullif(t.row_count - coalesce(t.missing_count, 0), 0) AS mean,
    p.psi
FROM totals AS t
INNER JOIN stability AS p
    ON t.event_day = p.event_day AND t.model_version = p.model_version AND t.name = p.name
