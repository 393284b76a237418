-- Puts a claimed case back into the queue. Only its claimant does it, or with p_is_forced an administrator.
CREATE OR REPLACE FUNCTION scoring.release_review_case(
    p_case_id bigint, p_by text, p_is_forced boolean DEFAULT false
)
RETURNS SETOF scoring.review_cases
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_case scoring.review_cases;
    v_claimant text := (SELECT c.claimed_by FROM scoring.review_cases AS c WHERE c.case_id = p_case_id);
    v_other bigint;
BEGIN
    v_case := scoring.lock_review_case(p_case_id, CASE WHEN p_is_forced THEN coalesce(v_claimant, p_by) ELSE p_by END);
    IF v_case.state = 'open' THEN
        RAISE EXCEPTION 'case % is not claimed', p_case_id USING ERRCODE = 'object_in_use';
    END IF;
    v_other := (
        SELECT c.case_id FROM scoring.review_cases AS c WHERE c.user_id = v_case.user_id AND c.state = 'open'
    );
    IF v_other IS NOT NULL THEN
        RAISE EXCEPTION 'case % cannot go back: newer transactions of the user are in case %', p_case_id, v_other
            USING ERRCODE = 'object_in_use';
    END IF;
    UPDATE scoring.review_cases AS c
    SET state = 'open', claimed_by = NULL, claimed_at = NULL
    WHERE c.case_id = p_case_id
    RETURNING c.* INTO v_case;
    PERFORM scoring.record_audit(
        p_by, 'review.release', 'case ' || p_case_id, jsonb_build_object('claimed_by', v_claimant)
    );
    RETURN NEXT v_case;
END
$$;
