-- What the trigger saw on live rows of the built list against what the training set says they saw: the features that
-- are read by window (and those derived of them), and those that are summed up by day.
WITH live AS (
    SELECT
        t.user_id,
        t.transaction_id,
        t.feature_values
    FROM public.transactions AS t
    INNER JOIN scoring.models AS m ON t.model_version = m.version
    WHERE m.feature_hash = %(feature_hash)s
    ORDER BY t.scored_at DESC
    LIMIT %(newest)s
),

compared AS (
    SELECT
        l.user_id,
        l.transaction_id,
        l.feature_values AS at_insert,
        f.feature_values AS in_training,
        f.user_id IS NOT NULL AS is_built
    FROM live AS l
    LEFT JOIN features.training_set AS f
        ON l.user_id = f.user_id AND l.transaction_id = f.transaction_id
),

differing AS (
    SELECT
        c.user_id,
        c.transaction_id,
        d.name,
        d.delay_days IS NOT NULL AS is_rolled
    FROM compared AS c
    CROSS JOIN LATERAL unnest(c.at_insert, c.in_training) WITH ORDINALITY AS v (at_insert, in_training, position)
    INNER JOIN features.feature_definitions AS d ON v.position = d.position
    WHERE
        c.is_built
        AND c.at_insert IS DISTINCT FROM c.in_training
        AND v.at_insert IS DISTINCT FROM v.in_training
)

SELECT
    (SELECT count(*) FROM compared AS c WHERE c.is_built) AS rows_compared,
    (SELECT count(*) FROM compared AS c WHERE NOT c.is_built) AS rows_not_built,
    (SELECT count(*) FROM features.feature_definitions AS n WHERE n.delay_days IS NULL) AS windowed_features,
    (SELECT count(*) FROM features.feature_definitions AS n WHERE n.delay_days IS NOT NULL) AS rolled_features,
    count(*) FILTER (WHERE NOT d.is_rolled) AS windowed_values_differing,
    count(DISTINCT d.user_id || '/' || d.transaction_id) FILTER (WHERE NOT d.is_rolled) AS windowed_rows_differing,
    count(*) FILTER (WHERE d.is_rolled) AS rolled_values_differing,
    count(DISTINCT d.user_id || '/' || d.transaction_id) FILTER (WHERE d.is_rolled) AS rolled_rows_differing,
    (array_agg(DISTINCT d.name))[:5] AS features_differing
FROM differing AS d
