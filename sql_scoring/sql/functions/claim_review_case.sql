-- Claims a case for a reviewer: the given one, or the most urgent open one that no other session is claiming. Returns no
-- row when none is open. 55006: another reviewer has it.
CREATE OR REPLACE FUNCTION scoring.claim_review_case(p_by text, p_case_id bigint DEFAULT NULL)
RETURNS SETOF scoring.review_cases
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_case scoring.review_cases;
BEGIN
    IF p_case_id IS NULL THEN
        SELECT c.* INTO v_case
        FROM scoring.review_cases AS c
        WHERE c.state = 'open'
        ORDER BY c.due_at, c.case_id
        LIMIT 1
        FOR UPDATE SKIP LOCKED;
        IF v_case.case_id IS NULL THEN
            RETURN;
        END IF;
    ELSE
        v_case := scoring.lock_review_case(p_case_id, p_by);
    END IF;
    IF v_case.state = 'open' THEN
        UPDATE scoring.review_cases AS c
        SET state = 'claimed', claimed_by = p_by, claimed_at = clock_timestamp()
        WHERE c.case_id = v_case.case_id
        RETURNING c.* INTO v_case;
        PERFORM scoring.record_audit(p_by, 'review.claim', 'case ' || v_case.case_id);
    END IF;
    RETURN NEXT v_case;
END
$$;
