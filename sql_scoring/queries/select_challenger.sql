SELECT m.version
FROM scoring.models AS m
WHERE m.state = 'challenger'
