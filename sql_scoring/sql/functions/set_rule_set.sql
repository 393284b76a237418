-- Puts a rule set in force; 0 is none. Called by the migrations of rule sets only.
CREATE OR REPLACE FUNCTION scoring.set_rule_set(p_version integer)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE scoring.settings AS s SET rule_set_version = p_version WHERE s.is_only;
    PERFORM scoring.bind_outcomes();
END
$$;
