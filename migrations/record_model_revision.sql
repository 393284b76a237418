INSERT INTO scoring.model_revisions (revision, kind, champion, files)
VALUES (:revision, :kind, :champion, cast(:files AS jsonb))
