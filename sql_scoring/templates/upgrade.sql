-- {version} becomes champion: the registry's row, the states, the facade.
{register}
UPDATE scoring.models
SET state = 'retired', state_reason = {retire_reason}
WHERE state = 'champion';

UPDATE scoring.models
SET state = 'champion', state_reason = {reason}, deployed_at = clock_timestamp(), deployed_by = session_user
WHERE version = {version_literal};

{facade}
