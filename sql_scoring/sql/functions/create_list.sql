-- Creates a list of keys of a column. Its column and kind are fixed: stored outcomes name it.
CREATE OR REPLACE FUNCTION scoring.create_list(
    p_name text, p_column text, p_kind text, p_description text DEFAULT '', p_by text DEFAULT session_user
)
RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_type text := (
        SELECT format_type(a.atttypid, NULL)
        FROM pg_attribute AS a
        WHERE a.attrelid = 'scoring.scoring_request'::regclass AND a.attname = p_column AND NOT a.attisdropped
    );
    v_list_id integer;
BEGIN
    -- One binding at a time, as deployments do it too.
    PERFORM pg_advisory_xact_lock(scoring.job_lock_space(), scoring.job_lock_key('deploy'));
    IF v_type IS NULL THEN
        RAISE EXCEPTION 'no column % is declared', p_column
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'column_name';
    ELSIF v_type NOT IN ('bigint', 'integer', 'text', 'uuid', 'inet') THEN
        RAISE EXCEPTION 'column % is %: keys are bigint, integer, text, uuid or inet', p_column, v_type
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'column_name';
    ELSIF EXISTS (SELECT FROM scoring.lists AS l WHERE l.name = p_name) THEN
        RAISE EXCEPTION 'there is a list % already', p_name USING ERRCODE = 'unique_violation', COLUMN = 'name';
    ELSIF p_name IN ('model_score', 'unscored', 'rule_failed', 'control_group', 'outcome_failed') THEN
        RAISE EXCEPTION '% is a reason of rowguard''s', p_name USING ERRCODE = 'check_violation', COLUMN = 'name';
    ELSIF p_name !~ '^[a-z][a-z0-9_]{0,19}$' THEN
        RAISE EXCEPTION 'the name of a list is lowercase letters, digits and _, starting with a letter, at most 20'
            USING ERRCODE = 'check_violation', COLUMN = 'name';
    ELSIF p_kind NOT IN ('allow', 'block', 'review', 'other') THEN
        RAISE EXCEPTION 'the kind of a list is allow, block, review or other'
            USING ERRCODE = 'check_violation', COLUMN = 'kind';
    END IF;
    INSERT INTO scoring.lists (name, column_name, kind, description, created_by)
    VALUES (p_name, p_column, p_kind, p_description, p_by)
    RETURNING list_id INTO v_list_id;
    PERFORM scoring.bind_outcomes();
    RETURN v_list_id;
END
$$;
