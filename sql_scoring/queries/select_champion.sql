SELECT m.version
FROM scoring.models AS m
WHERE m.state = 'champion'
