-- What the trigger saw on live rows of the built list against what the training set says they saw: the features that
-- are read by window (and those derived of them), and those that are summed up by day. Of rows that differ by window
-- it is told how many have a row of their user, stored without its lock, in their windows: training takes it for seen
-- when it arrived before them, and it may have been committed after they were decided.
WITH live AS (
    SELECT
        t.user_id,
        t.transaction_id,
        t.occurred_at,
        t.received_at,
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
        l.occurred_at,
        l.received_at,
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
        c.occurred_at,
        c.received_at,
        d.name,
        d.delay_days IS NOT NULL AS is_rolled
    FROM compared AS c
    CROSS JOIN LATERAL unnest(c.at_insert, c.in_training) WITH ORDINALITY AS v (at_insert, in_training, position)
    INNER JOIN features.feature_definitions AS d ON v.position = d.position
    WHERE
        c.is_built
        AND c.at_insert IS DISTINCT FROM c.in_training
        AND v.at_insert IS DISTINCT FROM v.in_training
),

beside AS (
    SELECT DISTINCT
        d.user_id,
        d.transaction_id
    FROM differing AS d
    INNER JOIN public.transactions AS u ON d.user_id = u.user_id
    LEFT JOIN scoring.rescored_transactions AS r
        ON u.user_id = r.user_id AND u.transaction_id = r.transaction_id
    WHERE
        NOT d.is_rolled
        AND u.received_at < d.received_at
        AND u.occurred_at <= d.occurred_at
        AND u.occurred_at > d.occurred_at
        - (SELECT max(w.window_hours) FROM features.feature_definitions AS w WHERE w.delay_days IS NULL)
        * interval '1 hour'
        -- what a row says when the lock did not come; one that was decided later says it elsewhere
        AND coalesce(u.unscored_reason, r.unscored_reason) LIKE %(without_lock)s
)

SELECT
    (SELECT count(*) FROM compared AS c WHERE c.is_built) AS rows_compared,
    (SELECT count(*) FROM compared AS c WHERE NOT c.is_built) AS rows_not_built,
    (SELECT count(*) FROM features.feature_definitions AS n WHERE n.delay_days IS NULL) AS windowed_features,
    (SELECT count(*) FROM features.feature_definitions AS n WHERE n.delay_days IS NOT NULL) AS rolled_features,
    count(*) FILTER (WHERE NOT d.is_rolled) AS windowed_values_differing,
    count(DISTINCT d.user_id || '/' || d.transaction_id) FILTER (WHERE NOT d.is_rolled) AS windowed_rows_differing,
    (SELECT count(*) FROM beside) AS rows_beside_unlocked,
    count(*) FILTER (WHERE d.is_rolled) AS rolled_values_differing,
    count(DISTINCT d.user_id || '/' || d.transaction_id) FILTER (WHERE d.is_rolled) AS rolled_rows_differing,
    (array_agg(DISTINCT d.name))[:5] AS features_differing
FROM differing AS d
