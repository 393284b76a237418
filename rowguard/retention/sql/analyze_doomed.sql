ANALYZE doomed
