SELECT to_regclass('scoring.model_revisions') IS NOT NULL
