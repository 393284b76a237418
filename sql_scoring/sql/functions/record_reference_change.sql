-- Trigger of a reference table: records the row as it is now in <table>_history; the first argument names the key.
CREATE OR REPLACE FUNCTION scoring.record_reference_change()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_history text := TG_TABLE_NAME || '_history';
    v_row jsonb := jsonb_build_object('valid_from', clock_timestamp()) || CASE TG_OP
        WHEN 'DELETE' THEN jsonb_build_object(TG_ARGV[0], to_jsonb(OLD) -> TG_ARGV[0])
        ELSE to_jsonb(NEW)
    END;
BEGIN
    -- Two changes within a microsecond: the last one counts.
    EXECUTE format(
        'DELETE FROM scoring.%1$I AS h USING jsonb_populate_record(NULL::scoring.%1$I, $1) AS r '
        'WHERE h.%2$I = r.%2$I AND h.valid_from = r.valid_from',
        v_history, TG_ARGV[0]
    ) USING v_row;
    EXECUTE format(
        'INSERT INTO scoring.%1$I SELECT r.* FROM jsonb_populate_record(NULL::scoring.%1$I, $1) AS r', v_history
    ) USING v_row;
    RETURN NULL;
END
$$;
