-- The locks of the users that are loaded: nobody inserts for them until the commit, so that what live rows saw and what
-- the running totals say agree. In order, so that two loads wait for each other and do not deadlock.
SELECT count(pg_advisory_xact_lock(7265, b.bucket)), clock_timestamp()
FROM (
    SELECT DISTINCT hashint8(s.user_id) & 4095 AS bucket
    FROM history_stage AS s
    ORDER BY 1
) AS b
