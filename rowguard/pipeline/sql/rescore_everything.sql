-- Every stored row of a span, whether or not it has a decision, and its features as of its own time.
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
    WHERE f.occurred_at >= {start} AND f.occurred_at < {past}
    -- Keeps the sub-select whole, so that each feature is unpacked once. A bare 0 is of another type, and
    -- then the planner takes it for a limit, which it does not run in parallel.
    OFFSET '0'::bigint
) AS r
