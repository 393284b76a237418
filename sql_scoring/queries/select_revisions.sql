-- All applied model revisions, oldest first.
SELECT r.revision, r.kind, r.champion, r.files, r.steps, r.challenger
FROM scoring.model_revisions AS r
ORDER BY r.position
