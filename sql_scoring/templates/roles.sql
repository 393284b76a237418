-- What a DBA runs once, in any database of the server, as a role that may create roles and databases; statement by
-- statement, as psql does. Needs no superuser, names no password: set them afterwards, in psql with \password.
--
-- {owner} owns the database {database}: migrations, deployments and dbt run as this role. {login} is the API's login.
-- The group roles belong to the whole server. The owner may add its clients' logins to them, and has none of their
-- rights: neither here nor in a database of another owner.
DO $$
DECLARE
    v_role text;
    v_options text := 'WITH ADMIN OPTION';
    v_right text := 'MEMBER';
BEGIN
    IF current_setting('server_version_num')::integer >= 160000 THEN
        v_options := 'WITH ADMIN TRUE, INHERIT FALSE, SET FALSE';
        v_right := 'SET';
    END IF;
    FOREACH v_role IN ARRAY ARRAY[{owner_literal}, {login_literal}] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname = v_role) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', v_role);
        END IF;
    END LOOP;
    FOREACH v_role IN ARRAY ARRAY['rowguard_app', 'rowguard_api', 'rowguard_trainer', 'rowguard_readonly'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname = v_role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
        END IF;
        EXECUTE format('GRANT %I TO %I %s', v_role, {owner_literal}, v_options);
    END LOOP;
    GRANT rowguard_api TO {login_name};
    -- CREATE DATABASE asks that you may act as the owner.
    IF NOT pg_has_role({owner_literal}, v_right) THEN
        EXECUTE format('GRANT %I TO %I', {owner_literal}, current_user);
    END IF;
END
$$;

-- Leave it out if the database exists; then: ALTER DATABASE {database_name} OWNER TO {owner_name};
CREATE DATABASE {database_name} OWNER {owner_name};

-- Members of the group roles may belong to another database of the server: they must not connect here.
REVOKE CONNECT ON DATABASE {database_name} FROM PUBLIC;

GRANT CONNECT ON DATABASE {database_name} TO {login_name};
