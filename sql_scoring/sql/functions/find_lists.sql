-- Names of the lists that have a key of the transaction, NULL for none; as it is without lists. bind_outcomes replaces
-- the body by one that knows the columns of the lists.
CREATE OR REPLACE FUNCTION scoring.find_lists(p_request scoring.scoring_request, p_at timestamptz)
RETURNS text[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN NULL;
END
$$;
