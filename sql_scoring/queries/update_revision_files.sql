UPDATE scoring.model_revisions
SET files = %(files)s
WHERE revision = %(revision)s
