-- Calls, median and fast tenth of each thing that was timed.
SELECT
    what,
    count(*),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY microseconds),
    percentile_cont(0.1) WITHIN GROUP (ORDER BY microseconds)
FROM bench.times
GROUP BY what
