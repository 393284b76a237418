-- Named queries of this room, read by rowguard.queries.

-- name: create_acknowledged
-- Rows as clients received them, to compare with the stored ones.
CREATE TEMP TABLE acknowledged (
    user_id bigint,
    idempotency_key text,
    transaction_id bigint,
    fraud_probability double precision,
    model_version text,
    unscored_reason text
);

-- name: select_by_key
-- The row of an idempotency key that was used before.
SELECT t.transaction_id, t.fraud_probability, t.model_version, t.unscored_reason
FROM public.transactions AS t
WHERE t.user_id = %(user_id)s::bigint AND t.idempotency_key = %(key)s::text;

-- name: compare_with_stored
-- Lost: acknowledged, and no row. Duplicated: more than one row of a key. Changed: the row differs from the
-- response. Several responses to one key must be the same.
SELECT
    count(*) FILTER (WHERE t.user_id IS NULL) AS lost,
    (
        SELECT coalesce(sum(d.extra), 0)
        FROM (
            SELECT count(*) - 1 AS extra
            FROM public.transactions
            WHERE starts_with(idempotency_key, %(run)s)
            GROUP BY user_id, idempotency_key
        ) AS d
    )::bigint AS duplicated,
    count(*) FILTER (
        WHERE t.user_id IS NOT NULL
        AND (t.transaction_id, t.fraud_probability, t.model_version, t.unscored_reason)
        IS DISTINCT FROM (a.transaction_id, a.fraud_probability, a.model_version, a.unscored_reason)
    ) AS changed,
    (
        SELECT count(*) FROM public.transactions AS s
        WHERE starts_with(s.idempotency_key, %(run)s)
    ) AS stored
FROM acknowledged AS a
LEFT JOIN public.transactions AS t ON a.user_id = t.user_id AND a.idempotency_key = t.idempotency_key;

-- name: insert_if_new
-- Insert one payment; no row comes back when an earlier attempt stored the key.
INSERT INTO public.transactions (user_id, amount, merchant_id, location, occurred_at, idempotency_key)
VALUES (
    %(user_id)s::bigint,
    %(amount)s::numeric,
    %(merchant_id)s::bigint,
    %(location)s::text,
    %(occurred_at)s::timestamptz,
    %(key)s::text
)
ON CONFLICT (user_id, idempotency_key) DO NOTHING
RETURNING transaction_id, fraud_probability, model_version, unscored_reason;

-- name: count_not_reproducible
-- Score every decision of a version again from its stored feature values.
SELECT count(*) FILTER (WHERE {function}(t.feature_values) IS DISTINCT FROM t.fraud_probability)
FROM public.transactions AS t
WHERE t.model_version = %(version)s;

-- name: count_unscored
-- Rows with neither decision nor reason, and rows with a reason or a caveat.
SELECT
    count(*) FILTER (WHERE t.model_version IS NULL AND t.unscored_reason IS NULL) AS without_decision_or_reason,
    count(*) FILTER (WHERE num_nonnulls(t.unscored_reason, t.features_caveat) > 0) AS with_reason
FROM public.transactions AS t
WHERE starts_with(t.idempotency_key, %(run)s);

-- name: compare_velocity
-- Live values against those of the training set, which was built just before. Label features are as fresh as the
-- last build, so they are counted separately. Differing rows are listed, as some of them may be right.
WITH positions AS (
    SELECT
        array_agg(d.position) FILTER (WHERE d.measure IS DISTINCT FROM 'label') AS velocity,
        array_agg(d.position) FILTER (WHERE d.measure = 'label') AS labels
    FROM features.feature_definitions AS d
)

SELECT
    count(*) AS compared,
    coalesce(
        array_agg(ARRAY[t.user_id, t.transaction_id]) FILTER (
            WHERE f.user_id IS NOT NULL
            AND EXISTS (
                SELECT FROM unnest(p.velocity) AS feature_position
                WHERE t.feature_values[feature_position] IS DISTINCT FROM f.feature_values[feature_position]
            )
        ), '{}'
    ) AS velocity_differs,
    count(*) FILTER (WHERE f.user_id IS NULL) AS missing,
    count(*) FILTER (
        WHERE EXISTS (
            SELECT FROM unnest(p.labels) AS feature_position
            WHERE t.feature_values[feature_position] IS DISTINCT FROM f.feature_values[feature_position]
        )
    ) AS labels_differ
FROM public.transactions AS t
CROSS JOIN positions AS p
LEFT JOIN features.training_set AS f ON t.user_id = f.user_id AND t.transaction_id = f.transaction_id
WHERE t.model_version IS NOT NULL;

-- name: list_scoring_versions
-- The versions that scored stored rows, with their functions.
SELECT DISTINCT t.model_version, 'scoring.' || m.version AS function_name
FROM public.transactions AS t
INNER JOIN scoring.models AS m ON t.model_version = m.version;

-- name: lock_users
-- Take the locks of users 1 to N until the end of the transaction.
SELECT pg_advisory_xact_lock(k.lock_key)
FROM (SELECT scoring.user_lock_key(u) AS lock_key FROM generate_series(1::bigint, %s::bigint) AS u) AS k;
