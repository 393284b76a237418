-- Group roles; logins are members of them. Roles belong to the whole server: another database on it, or a DBA, may
-- have created them, so CREATEROLE is needed only for those that are missing.
DO $$
DECLARE
    v_missing text[] := ARRAY(
        SELECT r.name
        FROM unnest(ARRAY['rowguard_app', 'rowguard_api', 'rowguard_trainer', 'rowguard_readonly']) AS r (name)
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS p WHERE p.rolname = r.name)
    );
    v_role text;
BEGIN
    FOREACH v_role IN ARRAY v_missing LOOP
        BEGIN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', v_role);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                RAISE DEBUG 'role % was created meanwhile', v_role;
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION '% may not create roles, and these are missing: %',
                    current_user, pg_catalog.array_to_string(v_missing, ', ')
                    USING ERRCODE = 'insufficient_privilege', HINT = (
                        SELECT 'Have a DBA run: ' || pg_catalog.string_agg(
                            pg_catalog.format('CREATE ROLE %I NOLOGIN;', m.name), ' '
                        )
                        FROM pg_catalog.unnest(v_missing) AS m (name)
                    );
        END;
    END LOOP;
END
$$;
