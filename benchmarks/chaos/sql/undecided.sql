-- Neither a decision nor a reason; and those with a reason.
SELECT
    count(*) FILTER (WHERE t.model_version IS NULL AND t.unscored_reason IS NULL) AS without_either,
    count(*) FILTER (WHERE t.unscored_reason IS NOT NULL) AS with_reason
FROM public.transactions AS t
WHERE starts_with(t.idempotency_key, %(run)s)
