-- Whether the database has rowguard's schema.
SELECT to_regclass('scoring.model_revisions') IS NOT NULL
