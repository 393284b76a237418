-- Every decision of a version again, from what the model saw.
SELECT count(*) FILTER (WHERE {function}(t.feature_values) IS DISTINCT FROM t.fraud_probability)
FROM public.transactions AS t
WHERE t.model_version = %(version)s
