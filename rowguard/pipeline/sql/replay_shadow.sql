-- The newest second opinions of a version, given again from what the model saw.
SELECT
    count(*),
    count(*) FILTER (WHERE {function_name}(t.feature_values) IS DISTINCT FROM t.shadow_probability)
FROM (
    SELECT
        coalesce(shadow_feature_values, feature_values) AS feature_values,
        shadow_probability
    FROM public.transactions
    WHERE shadow_version = %(version)s AND shadow_error IS NULL
    ORDER BY scored_at DESC
    LIMIT %(limit)s
) AS t
