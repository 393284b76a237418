-- The same in a database whose schema is older than the columns for steps and challenger.
SELECT r.revision, r.kind, r.champion, r.files, 1 AS steps, NULL::text AS challenger
FROM scoring.model_revisions AS r
ORDER BY r.position
