-- Removes keys from a list; the entries stay as history. Returns how many were there.
CREATE OR REPLACE FUNCTION scoring.remove_list_entries(p_list text, p_keys text[], p_by text DEFAULT session_user)
RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_list scoring.lists;
    v_removed integer;
BEGIN
    SELECT l.* INTO v_list FROM scoring.lists AS l WHERE l.name = p_list FOR NO KEY UPDATE;
    IF v_list.list_id IS NULL THEN
        RAISE EXCEPTION 'there is no list %', p_list USING ERRCODE = 'no_data_found';
    END IF;
    UPDATE scoring.list_entries AS e
    SET removed_at = clock_timestamp(), removed_by = p_by
    FROM unnest(scoring.normalize_list_keys(p_list, v_list.column_name, p_keys)) AS k (key)
    WHERE
        e.key_hash = scoring.list_key_hash(v_list.column_name, k.key) AND e.key = k.key AND e.list_id = v_list.list_id
        AND e.removed_at IS NULL;
    GET DIAGNOSTICS v_removed = ROW_COUNT;
    RETURN v_removed;
END
$$;
