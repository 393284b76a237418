-- One row per transaction of the window that can be trained on: its point-in-time features and its label as
-- it was known at the cut-off. Unlabelled rows count as legitimate: callers pass only windows that ended at
-- least a label delay before the cut-off.
SELECT
    f.user_id,
    f.transaction_id,
    f.occurred_at,
    coalesce(known.is_fraud, false) AS is_fraud,
    f.feature_values
FROM features.training_set AS f
LEFT JOIN (
    SELECT DISTINCT ON (l.user_id, l.transaction_id)
        l.user_id,
        l.transaction_id,
        l.is_fraud
    FROM features.stg_labels AS l
    WHERE l.labelled_at <= %(known_at)s
    ORDER BY l.user_id, l.transaction_id, l.labelled_at DESC, l.label_id DESC
) AS known
    ON f.user_id = known.user_id AND f.transaction_id = known.transaction_id
WHERE f.occurred_at >= %(start_at)s AND f.occurred_at < %(end_at)s
ORDER BY f.occurred_at, f.user_id, f.transaction_id
