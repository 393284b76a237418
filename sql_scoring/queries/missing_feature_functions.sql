-- What the functions that callers know call of the features and is not built here.
SELECT DISTINCT
    p.proname AS caller,
    'features.' || m.called[1] AS called
FROM pg_catalog.pg_proc AS p
CROSS JOIN LATERAL regexp_matches(p.prosrc, 'features\.(\w+)\(', 'g') AS m (called)
WHERE
    p.pronamespace = to_regnamespace('scoring')
    AND p.proname IN ('decide_insert', 'score_candidate', 'score_basic', 'shadow_on_insert')
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_proc AS f
        WHERE f.pronamespace = to_regnamespace('features') AND f.proname = m.called[1]
    )
ORDER BY caller, called
