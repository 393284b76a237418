-- Decides cases together, all or none: writes a label for each of their transactions, and on request puts keys on a list:
-- the values that their transactions have in the list's column. `unsure` writes no label. p_transactions is how many
-- transactions the reviewer saw; if others joined a case meanwhile, nothing is decided.
CREATE OR REPLACE FUNCTION scoring.decide_review_cases(
    p_case_ids bigint[],
    p_decision text,
    p_by text,
    p_note text DEFAULT NULL,
    p_transactions integer DEFAULT NULL,
    p_list text DEFAULT NULL,
    p_expires_at timestamptz DEFAULT NULL
)
RETURNS SETOF scoring.review_cases
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_case scoring.review_cases;
    v_case_id bigint;
    v_seen integer := 0;
    v_column text;
    v_keys text[];
BEGIN
    IF coalesce(p_decision, '') NOT IN ('fraud', 'legitimate', 'unsure') THEN
        RAISE EXCEPTION 'decision is not fraud, legitimate or unsure' USING ERRCODE = 'check_violation', COLUMN = 'decision';
    ELSIF length(p_note) > 2000 THEN
        RAISE EXCEPTION 'note has more than 2000 characters' USING ERRCODE = 'check_violation', COLUMN = 'note';
    ELSIF coalesce(cardinality(p_case_ids), 0) NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'case_ids does not name 1 to 1000 cases' USING ERRCODE = 'check_violation', COLUMN = 'case_ids';
    END IF;
    FOR v_case_id IN SELECT DISTINCT u.case_id FROM unnest(p_case_ids) AS u (case_id) ORDER BY u.case_id LOOP
        v_case := scoring.lock_review_case(v_case_id, p_by);
        v_seen := v_seen + v_case.transaction_count;
    END LOOP;
    IF p_transactions <> v_seen THEN
        RAISE EXCEPTION 'there are % transactions now, not %: look at them first', v_seen, p_transactions
            USING ERRCODE = 'object_in_use';
    END IF;
    IF p_decision <> 'unsure' THEN
        INSERT INTO public.fraud_labels (user_id, transaction_id, is_fraud, source)
        SELECT r.user_id, r.transaction_id, p_decision = 'fraud', 'review'
        FROM scoring.review_case_transactions AS r
        WHERE r.case_id = ANY(p_case_ids)
        ORDER BY r.case_id, r.user_id, r.transaction_id;
    END IF;
    IF p_list IS NOT NULL THEN
        v_column := (SELECT l.column_name FROM scoring.lists AS l WHERE l.name = p_list);
        IF v_column IS NULL THEN
            RAISE EXCEPTION 'there is no list %', p_list USING ERRCODE = 'no_data_found';
        END IF;
        EXECUTE format(
            'SELECT array_agg(DISTINCT t.%I::text) FROM scoring.review_case_transactions AS r'
            ' INNER JOIN public.transactions AS t ON r.user_id = t.user_id AND r.transaction_id = t.transaction_id'
            ' WHERE r.case_id = ANY($1) AND t.%I IS NOT NULL', v_column, v_column
        ) INTO v_keys USING p_case_ids;
        IF v_keys IS NOT NULL THEN
            PERFORM scoring.add_list_entries(p_list, (
                SELECT jsonb_agg(
                    jsonb_build_object(
                        'key', k.key, 'expires_at', p_expires_at,
                        'reason', left(concat_ws(': ', 'case ' || array_to_string(p_case_ids, ', '), p_note), 500)
                    )
                )
                FROM unnest(v_keys) AS k (key)
            ), p_by);
        END IF;
    END IF;
    FOR v_case IN
        UPDATE scoring.review_cases AS c
        SET
            state = 'decided', decision = p_decision, note = nullif(p_note, ''), decided_by = p_by,
            decided_at = clock_timestamp()
        WHERE c.case_id = ANY(p_case_ids)
        RETURNING c.*
    LOOP
        PERFORM scoring.record_audit(
            p_by, 'review.decide', 'case ' || v_case.case_id,
            jsonb_strip_nulls(
                jsonb_build_object(
                    'decision', p_decision, 'note', v_case.note, 'list', p_list, 'keys', v_keys,
                    'transactions', v_case.transaction_count
                )
            )
        );
        RETURN NEXT v_case;
    END LOOP;
END
$$;
