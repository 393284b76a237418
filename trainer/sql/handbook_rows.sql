-- The transactions of the window that the handbook's features are made of, with what was found out about them at
-- last; in the order of training_rows.sql.
SELECT
    t.user_id,
    t.merchant_id,
    t.occurred_at,
    t.amount::double precision AS amount,
    coalesce(known.is_fraud, false) AS is_fraud,
    f.user_id IS NOT NULL AS is_in_training
FROM features.stg_transactions AS t
LEFT JOIN features.training_set AS f
    ON t.user_id = f.user_id AND t.transaction_id = f.transaction_id
LEFT JOIN (
    SELECT DISTINCT ON (l.user_id, l.transaction_id)
        l.user_id,
        l.transaction_id,
        l.is_fraud
    FROM features.stg_labels AS l
    ORDER BY l.user_id, l.transaction_id, l.labelled_at DESC, l.label_id DESC
) AS known
    ON t.user_id = known.user_id AND t.transaction_id = known.transaction_id
WHERE t.occurred_at >= $1 AND t.occurred_at < $2
ORDER BY t.occurred_at, t.user_id, t.transaction_id
