-- What training looked like: bins of the score (position 0) and of each feature, per model version.
SELECT
    m.version AS model_version,
    parts.name,
    parts.position,
    ARRAY(
        SELECT edge.value::double precision
        FROM jsonb_array_elements_text(parts.bins -> 'edges') WITH ORDINALITY AS edge (value, place)
        ORDER BY edge.place
    ) AS edges,
    -- The first is the share of missing values, then bin by bin.
    ARRAY[(parts.bins ->> 'missing')::double precision]
    || ARRAY(
        SELECT part.value::double precision
        FROM jsonb_array_elements_text(parts.bins -> 'shares') WITH ORDINALITY AS part (value, place)
        ORDER BY part.place
    ) AS shares,
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
