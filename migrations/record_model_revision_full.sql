INSERT INTO scoring.model_revisions (revision, kind, champion, files, steps, challenger)
VALUES (:revision, :kind, :champion, cast(:files AS jsonb), :steps, :challenger)
