-- What the run left on its rows.
SELECT
    count(*) AS rows_after,
    count(*) FILTER (WHERE NOT t.is_history) AS live,
    count(*) FILTER (WHERE t.model_version IS NOT NULL) AS decided,
    count(*) FILTER (WHERE t.unscored_reason IS NOT NULL) AS with_reason,
    count(*) FILTER (
        WHERE t.model_version IS NULL AND t.unscored_reason IS NULL AND NOT t.is_history
    ) AS without_decision_or_reason,
    count(*) FILTER (WHERE t.user_txns_before IS NULL) AS without_totals
FROM public.transactions AS t
