-- Every row of the window scored by the fold's function, in the order of the trainer's own reading.
SELECT {function}(ARRAY[{values}])
FROM features.training_set AS f
WHERE f.occurred_at >= %(start)s AND f.occurred_at < %(end)s
ORDER BY f.occurred_at, f.user_id, f.transaction_id
