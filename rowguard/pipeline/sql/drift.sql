SELECT d.name, d.row_count, d.psi, d.live_shares, d.reference_shares
FROM features.monitoring_drift AS d
WHERE d.model_version = %(version)s
ORDER BY d.psi DESC
