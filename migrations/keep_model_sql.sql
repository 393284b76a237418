UPDATE scoring.models
SET sql_text = :sql_text
WHERE version = :version AND sql_text IS NULL
