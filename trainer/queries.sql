-- Named queries of this room, read by rowguard.queries.

-- name: backtest_scores
-- Every row of the window scored by the fold's function, in the order of training_rows.
SELECT {function}(ARRAY[{values}])
FROM features.training_set AS f
WHERE f.occurred_at >= %(start)s AND f.occurred_at < %(end)s
ORDER BY f.occurred_at, f.user_id, f.transaction_id;

-- name: feature_definitions
-- The built feature list in model order.
SELECT name, feature_hash
FROM features.feature_definitions
ORDER BY position;

-- name: feature_groups
-- Features in model order with the group that a backtest can leave out. Group 'transaction' always remains.
SELECT d.name, d.feature_group
FROM features.feature_definitions AS d
ORDER BY d.position;

-- name: reject_candidate
-- Mark a candidate as rejected.
UPDATE scoring.models
SET state = 'rejected', state_reason = %(reason)s
WHERE version = %(version)s AND state = 'candidate';

-- name: training_rows
-- One row per transaction of the window: point-in-time features, and the label known at the cutoff. Unlabeled rows
-- count as legitimate: callers pass windows that ended a label delay before the cutoff.
SELECT
    -- Rows are only grouped by it: another type of key is a number here.
    CASE
        WHEN pg_typeof(f.user_id) = 'bigint'::regtype THEN f.user_id::text::bigint
        ELSE hashtextextended(f.user_id::text, 0)
    END AS user_id,
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
    WHERE l.labelled_at <= %(label_cutoff)s
    ORDER BY l.user_id, l.transaction_id, l.labelled_at DESC, l.label_id DESC
) AS known
    ON f.user_id = known.user_id AND f.transaction_id = known.transaction_id
WHERE f.occurred_at >= %(start_at)s AND f.occurred_at < %(end_at)s
ORDER BY f.occurred_at, f.user_id, f.transaction_id;

-- name: training_range
-- First and last event time of the training set, and its rows.
SELECT min(occurred_at), max(occurred_at), count(*)
FROM features.training_set;

-- name: has_transactions
-- Whether any transaction is stored.
SELECT exists(SELECT FROM public.transactions);

-- name: label_coverage
-- Of the window: rows without a label at the cutoff, known frauds, and those that were first labeled as one after the
-- label delay. With the label delay of the built features, where a feature has it.
SELECT
    count(*) FILTER (WHERE known.user_id IS NULL) AS unlabeled_rows,
    count(known.fraud_labelled_at) AS known_frauds,
    count(*) FILTER (WHERE known.fraud_labelled_at > f.occurred_at + %(label_delay)s) AS late_frauds,
    (
        SELECT max(d.delay_days)
        FROM features.feature_definitions AS d
        WHERE d.aggregate LIKE 'fraud\_%%'
    ) AS built_delay_days
FROM features.training_set AS f
LEFT JOIN (
    SELECT
        l.user_id,
        l.transaction_id,
        min(l.labelled_at) FILTER (WHERE l.is_fraud) AS fraud_labelled_at
    FROM features.stg_labels AS l
    WHERE l.labelled_at <= %(label_cutoff)s
    GROUP BY l.user_id, l.transaction_id
) AS known
    ON f.user_id = known.user_id AND f.transaction_id = known.transaction_id
WHERE f.occurred_at >= %(start_at)s AND f.occurred_at < %(end_at)s;

-- name: lacks_features
-- Whether a transaction before the end has no features, although the training set reaches back as far.
SELECT exists(
    SELECT
    FROM public.transactions AS t
    WHERE
        t.occurred_at < %(end)s
        AND t.occurred_at >= coalesce((SELECT max(r.complete_from) FROM scoring.retention_runs AS r), '-infinity')
        AND NOT EXISTS (
            SELECT FROM features.training_set AS f
            WHERE f.user_id = t.user_id AND f.transaction_id = t.transaction_id
        )
);
