-- Records a change by a user. The caller states the actor; the login role is recorded with it.
CREATE OR REPLACE FUNCTION scoring.record_audit(
    p_actor text, p_action text, p_subject text, p_details jsonb DEFAULT '{}'
)
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
INSERT INTO scoring.audit_events (actor, action, subject, details)
VALUES (p_actor, p_action, p_subject, coalesce(p_details, '{}'));
$$;
