-- Suppresses a rule for a user until it ends. The rule must be in the set in force.
CREATE OR REPLACE FUNCTION scoring.add_rule_exception(
    p_rule text, p_user_id bigint /* key type */, p_ends_at timestamptz, p_reason text, p_by text DEFAULT session_user
)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_exception_id bigint;
BEGIN
    IF NOT EXISTS (
        SELECT
        FROM scoring.rules AS r
        INNER JOIN scoring.settings AS s ON r.version = s.rule_set_version
        WHERE r.name = p_rule
    ) THEN
        RAISE EXCEPTION 'the rule set in force has no rule %', p_rule USING ERRCODE = 'no_data_found';
    ELSIF p_ends_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'the end of the exception is in the past'
            USING ERRCODE = 'datetime_field_overflow', COLUMN = 'ends_at';
    ELSIF p_ends_at > clock_timestamp() + interval '366 days' THEN
        RAISE EXCEPTION 'an exception ends within a year'
            USING ERRCODE = 'datetime_field_overflow', COLUMN = 'ends_at';
    ELSIF length(btrim(p_reason)) NOT BETWEEN 1 AND 500 THEN
        RAISE EXCEPTION 'an exception needs a reason of at most 500 characters'
            USING ERRCODE = 'check_violation', COLUMN = 'reason';
    END IF;
    INSERT INTO scoring.rule_exceptions (rule_name, user_id, ends_at, reason, created_by)
    VALUES (p_rule, p_user_id, p_ends_at, p_reason, p_by)
    RETURNING exception_id INTO v_exception_id;
    RETURN v_exception_id;
END
$$;
