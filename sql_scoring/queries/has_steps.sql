-- Whether the schema has the columns for steps and challenger. Files are restored before the schema is brought to
-- its head, so an older one must be readable.
SELECT EXISTS (
    SELECT 1 FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = to_regclass('scoring.model_revisions') AND a.attname = 'steps'
)
