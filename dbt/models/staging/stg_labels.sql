SELECT l.user_id, l.transaction_id, l.label_id, l.is_fraud, l.labelled_at, l.source
FROM {{ source('public', 'fraud_labels') }} AS l
