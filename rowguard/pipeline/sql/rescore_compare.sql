-- Some rows that the bulk form scored and the deployed function scores otherwise, in any bit.
SELECT count(*)
FROM ({bulk} LIMIT {rows}) AS b
INNER JOIN features.training_set AS f ON b.user_id = f.user_id AND b.transaction_id = f.transaction_id
WHERE {function}(f.feature_values) IS DISTINCT FROM b.fraud_probability
