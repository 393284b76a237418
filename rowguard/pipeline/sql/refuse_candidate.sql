UPDATE scoring.models
SET state = 'refused', state_reason = %(reason)s
WHERE version = %(version)s AND state = 'candidate'
