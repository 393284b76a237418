-- What the trigger saw beside what the training set says it saw; the features were built just before. What was found
-- out about merchants is as fresh as the last nightly build and counted apart: a row of tomorrow saw less. Which rows
-- differ is told one by one, as some of them may be right.
WITH places AS (
    SELECT
        array_agg(d.position) FILTER (WHERE d.measure IS DISTINCT FROM 'label') AS velocity,
        array_agg(d.position) FILTER (WHERE d.measure = 'label') AS labels
    FROM features.feature_definitions AS d
)

SELECT
    count(*) AS compared,
    coalesce(
        array_agg(ARRAY[t.user_id, t.transaction_id]) FILTER (
            WHERE f.user_id IS NOT NULL
            AND EXISTS (
                SELECT FROM unnest(p.velocity) AS place
                WHERE t.feature_values[place] IS DISTINCT FROM f.feature_values[place]
            )
        ), '{}'
    ) AS velocity_differs,
    count(*) FILTER (WHERE f.user_id IS NULL) AS missing,
    count(*) FILTER (
        WHERE EXISTS (
            SELECT FROM unnest(p.labels) AS place
            WHERE t.feature_values[place] IS DISTINCT FROM f.feature_values[place]
        )
    ) AS labels_differ
FROM public.transactions AS t
CROSS JOIN places AS p
LEFT JOIN features.training_set AS f ON t.user_id = f.user_id AND t.transaction_id = f.transaction_id
WHERE t.model_version IS NOT NULL
