-- Named queries of this room, read by rowguard.queries.

-- name: alter_login
-- Makes an existing role a login with this password. The verifier is SCRAM's, never the password.
ALTER ROLE {role} LOGIN PASSWORD {verifier} VALID UNTIL 'infinity';

-- name: clone_database
-- A copy of a database to which nobody is connected.
CREATE DATABASE {database} TEMPLATE {template};

-- name: create_database
-- An empty database.
CREATE DATABASE {database};

-- name: create_login
-- A login without privileges of its own. The verifier is SCRAM's, never the password.
CREATE ROLE {role} LOGIN PASSWORD {verifier};

-- name: database_exists
-- One row if the database `name` is there.
SELECT 1 FROM pg_catalog.pg_database WHERE datname = %(name)s;

-- name: describe_server
-- Version of the server and size of the current database.
SELECT current_setting('server_version'), pg_database_size(current_database());

-- name: drop_database
-- Ends the sessions of a database and drops it.
DROP DATABASE IF EXISTS {database} WITH (FORCE);

-- name: grant_membership
-- Puts a login into a group, whose privileges it then has.
GRANT {member_of} TO {role};

-- name: login_state
-- What the server knows of one login role.
SELECT rolcanlogin, rolpassword, coalesce(rolvaliduntil <= now(), false) AS is_expired
FROM pg_catalog.pg_authid
WHERE rolname = %(role)s;

-- name: membership
-- Whether the group is there and the role is in it; no row when there is no such group.
SELECT pg_has_role(%(role)s, g.oid, 'MEMBER')
FROM pg_catalog.pg_roles AS g
WHERE g.rolname = %(member_of)s;

-- name: pgbouncer_auth
-- What PgBouncer may ask: the stored password of one login that is still valid. Placeholders: role, database.
CREATE SCHEMA IF NOT EXISTS pgbouncer;
REVOKE ALL ON SCHEMA pgbouncer FROM PUBLIC;

-- SECURITY DEFINER because only superusers read pg_authid. rolvaliduntil is checked here: PgBouncer compares the
-- password by itself and would let an expired login in to a server connection that is already open.
CREATE OR REPLACE FUNCTION pgbouncer.get_auth(p_username text, OUT username text, OUT password text)
    RETURNS SETOF record
    LANGUAGE sql
    STABLE
    STRICT
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT a.rolname::pg_catalog.text, a.rolpassword::pg_catalog.text
    FROM pg_catalog.pg_authid AS a
    WHERE a.rolname OPERATOR(pg_catalog.=) p_username
      AND a.rolcanlogin
      AND (a.rolvaliduntil IS NULL OR a.rolvaliduntil OPERATOR(pg_catalog.>) pg_catalog.now())
$$;
REVOKE ALL ON FUNCTION pgbouncer.get_auth(text) FROM PUBLIC;

GRANT CONNECT ON DATABASE {database} TO {role};
GRANT USAGE ON SCHEMA pgbouncer TO {role};
GRANT EXECUTE ON FUNCTION pgbouncer.get_auth(text) TO {role};

-- name: reset_password
-- Sets the owner's password in single-user mode. Placeholders: role, verifier (SCRAM, never the password).
ALTER ROLE {role} PASSWORD '{verifier}';

-- name: warm_connection
DO $$BEGIN PERFORM public.warm_scoring(); EXCEPTION WHEN OTHERS THEN NULL; END$$;
