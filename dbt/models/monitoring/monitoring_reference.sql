-- What training looked like: bins of the score (position 0) and of each feature, per model version.
SELECT
    m.version AS model_version,
    parts.name,
    parts.position,
    coalesce(
        (
            SELECT array_agg(edge.value::double precision ORDER BY edge.position)
            FROM jsonb_array_elements_text(parts.bins -> 'edges') WITH ORDINALITY AS edge (value, position)
        ),
        '{}'::double precision[]
    ) AS edges,
    -- The first is the fraction of missing values, then bin by bin.
    ARRAY[(parts.bins ->> 'missing')::double precision]
    || (
        SELECT array_agg(part.value::double precision ORDER BY part.position)
        FROM jsonb_array_elements_text(parts.bins -> 'shares') WITH ORDINALITY AS part (value, position)
    ) AS fractions,
    (parts.bins ->> 'mean')::double precision AS mean
FROM {{ source('scoring', 'models') }} AS m
CROSS JOIN LATERAL (
    SELECT
        'score' AS name,
        0::bigint AS position,
        m.reference -> 'score' AS bins
    UNION ALL
    SELECT
        feature.bins ->> 'name' AS name,
        feature.position,
        feature.bins
    FROM jsonb_array_elements(m.reference -> 'features') WITH ORDINALITY AS feature (bins, position)
) AS parts
WHERE m.reference IS NOT NULL AND m.deployed_at IS NOT NULL
