-- Group roles. Nobody logs in as one of them; logins are members. Roles belong to the whole server, so
-- several databases on it share them and a second database finds them already there.
DO $$
DECLARE
    v_role text;
BEGIN
    FOREACH v_role IN ARRAY ARRAY['rowguard_app', 'rowguard_api', 'rowguard_trainer', 'rowguard_readonly'] LOOP
        BEGIN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', v_role);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                RAISE DEBUG 'role % is already there', v_role;
        END;
    END LOOP;
END
$$;
