-- Keys of a list as text that equals the column's: of inet 10.0.0.1/32. A wrong one raises and is named.
CREATE OR REPLACE FUNCTION scoring.normalize_list_keys(p_list text, p_column text, p_keys text[])
RETURNS text[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_type text := (
        SELECT format_type(a.atttypid, NULL)
        FROM pg_attribute AS a
        WHERE a.attrelid = 'scoring.scoring_request'::regclass AND a.attname = p_column AND NOT a.attisdropped
    );
    v_keys text[];
BEGIN
    BEGIN
        EXECUTE format(
            'SELECT array_agg((k.key::%s)::text ORDER BY k.n) FROM unnest($1) WITH ORDINALITY AS k (key, n)', v_type
        ) INTO v_keys USING p_keys;
    EXCEPTION
        WHEN data_exception THEN
            RAISE EXCEPTION 'a key of list % is no value of column %: %', p_list, p_column, SQLERRM
                USING ERRCODE = 'invalid_parameter_value', COLUMN = 'key';
    END;
    IF EXISTS (
        SELECT
        FROM unnest(v_keys) AS k (key)
        WHERE (length(k.key) BETWEEN 1 AND 256 AND k.key !~ '[\u0001-\u001F\u007F-\u009F]') IS NOT TRUE
    ) THEN
        RAISE EXCEPTION 'a key of list % is missing, has control characters, or more than 256 characters', p_list
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'key';
    END IF;
    RETURN v_keys;
END
$$;
