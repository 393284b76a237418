-- The version that has exactly this function body and these features, if it was registered before.
SELECT m.version
FROM scoring.models AS m
WHERE m.sql_sha256 = %(sql_sha256)s AND m.feature_hash = %(feature_hash)s
