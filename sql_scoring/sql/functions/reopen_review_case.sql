-- Opens a decided case again. Its labels remain: the next decision writes newer ones, which count.
CREATE OR REPLACE FUNCTION scoring.reopen_review_case(
    p_case_id bigint, p_by text, p_note text DEFAULT NULL, p_due_hours double precision DEFAULT 24
)
RETURNS SETOF scoring.review_cases
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_case scoring.review_cases;
    v_other bigint;
BEGIN
    SELECT c.* INTO v_case FROM scoring.review_cases AS c WHERE c.case_id = p_case_id FOR UPDATE;
    IF v_case.case_id IS NULL THEN
        RAISE EXCEPTION 'there is no case %', p_case_id USING ERRCODE = 'no_data_found';
    ELSIF v_case.state <> 'decided' THEN
        RAISE EXCEPTION 'case % is not decided', p_case_id USING ERRCODE = 'object_in_use';
    ELSIF length(p_note) > 2000 THEN
        RAISE EXCEPTION 'note has more than 2000 characters' USING ERRCODE = 'check_violation', COLUMN = 'note';
    END IF;
    v_other := (
        SELECT c.case_id FROM scoring.review_cases AS c WHERE c.user_id = v_case.user_id AND c.state = 'open'
    );
    IF v_other IS NOT NULL THEN
        RAISE EXCEPTION 'the user of case % has the open case %: decide that first', p_case_id, v_other
            USING ERRCODE = 'object_in_use';
    END IF;
    PERFORM scoring.record_audit(
        p_by, 'review.reopen', 'case ' || p_case_id,
        jsonb_strip_nulls(
            jsonb_build_object('note', p_note, 'decision', v_case.decision, 'decided_by', v_case.decided_by)
        )
    );
    UPDATE scoring.review_cases AS c
    SET
        state = 'open', decision = NULL, note = NULL, decided_by = NULL, decided_at = NULL, claimed_by = NULL,
        claimed_at = NULL, due_at = clock_timestamp() + make_interval(secs => p_due_hours * 3600)
    WHERE c.case_id = p_case_id
    RETURNING c.* INTO v_case;
    RETURN NEXT v_case;
END
$$;
