-- How many rows a reason has; reasons that name a user are cut off before.
SELECT
    split_part(left(u.reason, 160), ' of user ', 1) AS reason,
    count(*) AS transactions,
    min(u.received_at) AS first_at,
    max(u.received_at) AS last_at
FROM public.unscored_transactions AS u
GROUP BY split_part(left(u.reason, 160), ' of user ', 1)
ORDER BY transactions DESC, reason
