-- Values of the replayed rows, and how many differ from the training set's.
SELECT
    count(*),
    count(*) FILTER (WHERE v.at_insert IS DISTINCT FROM v.in_training)
FROM public.transactions AS t
INNER JOIN features.training_set AS f USING (user_id, transaction_id)
CROSS JOIN LATERAL unnest(t.feature_values, f.feature_values) AS v (at_insert, in_training)
WHERE NOT t.is_history AND t.model_version IS NOT NULL
