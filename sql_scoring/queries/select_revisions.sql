-- All applied model revisions, oldest first.
SELECT r.revision, r.kind, r.champion, r.files
FROM scoring.model_revisions AS r
ORDER BY r.position
