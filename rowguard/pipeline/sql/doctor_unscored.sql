-- Live rows of the last hours without a decision, since a model was first deployed, and the newest reason.
SELECT
    count(*) AS live_rows,
    count(*) FILTER (WHERE t.is_unscored) AS rows_unscored,
    max(t.received_at) FILTER (WHERE t.is_unscored) AS newest_unscored_at,
    (array_agg(t.unscored_reason ORDER BY t.received_at DESC) FILTER (WHERE t.is_unscored))[1] AS newest_reason
FROM (
    SELECT
        r.received_at,
        r.unscored_reason,
        r.model_version IS NULL
        AND r.received_at > (SELECT min(m.deployed_at) FROM scoring.models AS m) AS is_unscored
    FROM public.transactions AS r
    WHERE NOT r.is_history AND r.received_at > now() - make_interval(hours => %(hours)s)
) AS t
