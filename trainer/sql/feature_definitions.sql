SELECT name, feature_hash
FROM features.feature_definitions
ORDER BY position
