-- How many rows of the span wait for a decision, and how many of them have their features.
SELECT
    count(*),
    count(f.user_id)
FROM public.transactions AS t
LEFT JOIN features.training_set AS f ON t.user_id = f.user_id AND t.transaction_id = f.transaction_id
WHERE
    t.model_version IS NULL
    AND (NOT t.is_history OR %(history)s)
    AND t.occurred_at >= %(start)s
    AND t.occurred_at < %(past)s
