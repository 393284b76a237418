-- {version} was champion: back to what was before it.
UPDATE scoring.models
SET state = 'retired', state_reason = {reason}
WHERE state = 'champion';

{restore_state}{facade}
{drop_function}
