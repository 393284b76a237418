-- Stores the history of a model's states.
CREATE OR REPLACE FUNCTION scoring.record_model_state()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO scoring.model_state_changes (version, from_state, to_state, reason)
    VALUES (
        NEW.version,
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END,
        NEW.state,
        NEW.state_reason
    );
    RETURN NULL;
END
$$;
