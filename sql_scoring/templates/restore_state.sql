UPDATE scoring.models
SET state = 'champion', state_reason = 'the revision after it was taken back'
WHERE version = {version_literal};
