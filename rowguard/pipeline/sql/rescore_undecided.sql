-- Live rows (and if asked, loaded history) that have no decision, and their features as of their own time.
SELECT
    r.user_id,
    r.transaction_id,
    r.occurred_at,
    {score} AS fraud_probability
FROM (
    SELECT
        f.user_id,
        f.transaction_id,
        f.occurred_at,
        {features}
    FROM features.training_set AS f
    INNER JOIN public.transactions AS t ON f.user_id = t.user_id AND f.transaction_id = t.transaction_id
    WHERE
        t.model_version IS NULL
        AND (NOT t.is_history OR {history})
        AND f.occurred_at >= {start}
        AND f.occurred_at < {past}
    -- Keeps the sub-select whole, so that each feature is unpacked once. A bare 0 is of another type, and
    -- then the planner takes it for a limit, which it does not run in parallel.
    OFFSET '0'::bigint
) AS r
