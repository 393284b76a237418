-- The newest judgement of a version.
SELECT g.version, g.champion, g.judged_at, g.is_passed, g.is_forced, g.reasons, g.figures
FROM scoring.gate_reports AS g
WHERE g.version = %(version)s
ORDER BY g.report_id DESC
LIMIT 1
