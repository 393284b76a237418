-- Whether there is a rule set or a list; bind_outcomes replaces the body. The planner copies the constant into the
-- trigger's expression, so that an INSERT without outcomes pays for a comparison and no call.
CREATE OR REPLACE FUNCTION scoring.uses_outcomes()
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN false;
