SELECT
    c.event_day, c.first_version, c.second_version, c.row_count, c.decided_by_second, c.errors, c.first_alerts,
    c.second_alerts, c.disagreements, c.mean_difference, c.is_mature, c.labelled, c.frauds, c.first_caught,
    c.second_caught
FROM features.challenger_days AS c
ORDER BY c.event_day, c.first_version, c.second_version
