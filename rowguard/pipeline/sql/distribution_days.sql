SELECT d.event_day, d.name, d.row_count, d.missing_share, d.mean, d.psi
FROM features.monitoring_distribution_days AS d
WHERE d.model_version = %(version)s
ORDER BY d.event_day, d.name
