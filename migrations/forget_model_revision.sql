DELETE FROM scoring.model_revisions
WHERE revision = :revision
