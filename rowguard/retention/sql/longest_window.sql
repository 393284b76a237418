-- Hours that any feature of the built list looks back, delay included.
SELECT max(coalesce(d.window_hours, 0) + 24 * coalesce(d.delay_days, 0))
FROM features.feature_definitions AS d
