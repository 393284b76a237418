SELECT a.measure, a.subject, a.value, a.row_count, a.alarm_at, a.is_judged, a.is_alarm
FROM features.monitoring_alarms AS a
ORDER BY a.is_alarm DESC, a.measure, a.value DESC, a.subject
