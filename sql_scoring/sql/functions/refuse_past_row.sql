-- Refuses a row of the owner's that brings its arrival, as a backup or a copy of the table does: deciding it again would
-- lose what it was. What an application brings of the trigger's columns is dropped. Asks for the role of the session,
-- as the trigger runs with its owner's rights.
CREATE OR REPLACE FUNCTION scoring.refuse_past_row()
RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF has_table_privilege(
        coalesce(nullif(current_setting('role'), 'none'), session_user), 'public.transactions', 'TRIGGER'
    ) THEN
        RAISE EXCEPTION 'this row brings received_at, and the trigger would decide it again as a new one'
            USING ERRCODE = 'object_not_in_prerequisite_state', COLUMN = 'received_at',
            HINT = 'To restore rows see docs/how-to/restore.md. To have the row decided leave received_at out.';
    END IF;
END
$$;
