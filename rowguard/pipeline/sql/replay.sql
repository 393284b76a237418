-- The newest decided rows of a version, scored again from what the model saw.
SELECT
    count(*),
    count(*) FILTER (WHERE {function_name}(t.feature_values) IS DISTINCT FROM t.fraud_probability)
FROM (
    SELECT feature_values, fraud_probability
    FROM public.transactions
    WHERE model_version = %(version)s
    ORDER BY scored_at DESC
    LIMIT %(limit)s
) AS t
