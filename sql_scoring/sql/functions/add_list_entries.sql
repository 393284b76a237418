-- Adds keys to a list: a JSON array of objects with key, and optionally expires_at and reason. A key that is there gets
-- the new expiry and reason, and the earlier entry becomes history. Returns how many entries were written. One wrong key
-- rejects all of them.
CREATE OR REPLACE FUNCTION scoring.add_list_entries(p_list text, p_entries jsonb, p_by text DEFAULT session_user)
RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_list scoring.lists;
    v_keys text[];
    v_expiries timestamptz[];
    v_reasons text[];
    v_written integer;
BEGIN
    -- Two writers of one list take turns, so that a key has one current entry.
    SELECT l.* INTO v_list FROM scoring.lists AS l WHERE l.name = p_list FOR NO KEY UPDATE;
    IF v_list.list_id IS NULL THEN
        RAISE EXCEPTION 'there is no list %', p_list USING ERRCODE = 'no_data_found';
    END IF;
    v_keys := scoring.normalize_list_keys(
        p_list, v_list.column_name, ARRAY(
            SELECT e.entry ->> 'key' FROM jsonb_array_elements(p_entries) WITH ORDINALITY AS e (entry, n) ORDER BY e.n
        )
    );
    SELECT
        array_agg(n.key),
        array_agg(n.expires_at),
        array_agg(nullif(n.reason, ''))
    INTO v_keys, v_expiries, v_reasons
    FROM (
        SELECT DISTINCT ON (v_keys[e.n])
            v_keys[e.n] AS key, (e.entry ->> 'expires_at')::timestamptz AS expires_at, e.entry ->> 'reason' AS reason
        FROM jsonb_array_elements(p_entries) WITH ORDINALITY AS e (entry, n)
        ORDER BY v_keys[e.n], e.n DESC
    ) AS n;
    UPDATE scoring.list_entries AS e
    SET removed_at = clock_timestamp(), removed_by = p_by
    FROM unnest(v_keys, v_expiries, v_reasons) AS n (key, expires_at, reason)
    WHERE
        e.key_hash = scoring.list_key_hash(v_list.column_name, n.key) AND e.key = n.key AND e.list_id = v_list.list_id
        AND e.removed_at IS NULL
        AND (e.expires_at, e.reason) IS DISTINCT FROM (n.expires_at, n.reason);
    INSERT INTO scoring.list_entries (key_hash, list_id, key, expires_at, reason, added_by)
    SELECT scoring.list_key_hash(v_list.column_name, n.key), v_list.list_id, n.key, n.expires_at, n.reason, p_by
    FROM unnest(v_keys, v_expiries, v_reasons) AS n (key, expires_at, reason)
    WHERE NOT EXISTS (
        SELECT
        FROM scoring.list_entries AS e
        WHERE
            e.key_hash = scoring.list_key_hash(v_list.column_name, n.key) AND e.key = n.key
            AND e.list_id = v_list.list_id AND e.removed_at IS NULL
    );
    GET DIAGNOSTICS v_written = ROW_COUNT;
    RETURN v_written;
END
$$;
