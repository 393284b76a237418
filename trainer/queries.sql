-- Named queries of this room, read by rowguard.queries.

-- name: backtest_scores
-- Every row of the window scored by the fold's function, in the order of the trainer's own reading.
SELECT {function}(ARRAY[{values}])
FROM features.training_set AS f
WHERE f.occurred_at >= %(start)s AND f.occurred_at < %(end)s
ORDER BY f.occurred_at, f.user_id, f.transaction_id;

-- name: feature_definitions
SELECT name, feature_hash
FROM features.feature_definitions
ORDER BY position;

-- name: feature_groups
-- The features in model order, each with the group that the backtest can leave out; 'transaction' is what is never
-- left out, the transaction's own columns. A derived feature of several kinds belongs to the first that fits.
SELECT
    d.name,
    CASE
        WHEN d.entity = 'merchant' THEN 'merchant-risk'
        WHEN d.entity = 'user' AND d.delay_days IS NOT NULL THEN 'user-risk'
        WHEN d.entity = 'user_location' OR d.expression ~ '\mlocation\M' THEN 'location'
        WHEN d.entity IS NOT NULL THEN 'user-windows'
        WHEN d.expression ~ '\moccurred_at\M' THEN 'calendar'
        WHEN EXISTS (
            SELECT FROM features.feature_definitions AS other WHERE d.expression ~ ('\m' || other.name || '\M')
        ) THEN 'derived'
        ELSE 'transaction'
    END AS feature_group
FROM features.feature_definitions AS d
ORDER BY d.position;

-- name: handbook_rows
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
ORDER BY t.occurred_at, t.user_id, t.transaction_id;

-- name: refuse_candidate
UPDATE scoring.models
SET state = 'rejected', state_reason = %(reason)s
WHERE version = %(version)s AND state = 'candidate';

-- name: training_rows
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
ORDER BY f.occurred_at, f.user_id, f.transaction_id;

-- name: training_span
SELECT min(occurred_at), max(occurred_at), count(*)
FROM features.training_set;
