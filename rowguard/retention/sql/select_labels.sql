SELECT l.user_id, l.transaction_id, l.label_id, l.is_fraud, l.labelled_at, l.source
FROM public.fraud_labels AS l
INNER JOIN doomed AS d ON l.user_id = d.user_id AND l.transaction_id = d.transaction_id
ORDER BY d.number, l.label_id
