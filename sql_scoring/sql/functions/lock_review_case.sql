-- Locks a case for a change by a reviewer. P0002: there is no such case. 55006: another reviewer claimed it, or it is
-- decided.
CREATE OR REPLACE FUNCTION scoring.lock_review_case(p_case_id bigint, p_by text)
RETURNS scoring.review_cases
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_case scoring.review_cases;
BEGIN
    SELECT c.* INTO v_case FROM scoring.review_cases AS c WHERE c.case_id = p_case_id FOR UPDATE;
    IF v_case.case_id IS NULL THEN
        RAISE EXCEPTION 'there is no case %', p_case_id USING ERRCODE = 'no_data_found';
    ELSIF v_case.state = 'decided' THEN
        RAISE EXCEPTION 'case % was decided % by %; reopen it first', p_case_id, v_case.decision, v_case.decided_by
            USING ERRCODE = 'object_in_use';
    ELSIF v_case.state = 'claimed' AND v_case.claimed_by <> p_by THEN
        RAISE EXCEPTION 'case % is claimed by %', p_case_id, v_case.claimed_by USING ERRCODE = 'object_in_use';
    END IF;
    RETURN v_case;
END
$$;
