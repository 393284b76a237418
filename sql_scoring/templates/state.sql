UPDATE scoring.models
SET
    state = {state}, state_reason = {reason}, canary_percent = {canary}{stamp}
WHERE version = {version_literal};
