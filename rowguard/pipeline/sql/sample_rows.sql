-- About so many rows of a window, chosen by a hash: one scan, and only they travel.
SELECT f.feature_values
FROM features.training_set AS f
WHERE
    f.occurred_at >= %(start)s
    AND f.occurred_at < %(until)s
    AND (hashint8(f.transaction_id) & 2147483647) < %(below)s::double precision
ORDER BY hashint8(f.transaction_id), f.user_id
LIMIT %(most)s
