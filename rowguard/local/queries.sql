-- Named queries of this room, read by rowguard.queries.

-- name: alter_login
-- Makes a role a login with this password. The verifier is SCRAM's, never the password.
ALTER ROLE {role} LOGIN PASSWORD {verifier} VALID UNTIL 'infinity';

-- name: create_database
-- Creates a database as a copy of one without sessions.
CREATE DATABASE {database} TEMPLATE {template};

-- name: create_login
-- Creates a login without privileges. The verifier is SCRAM's, never the password.
CREATE ROLE {role} LOGIN PASSWORD {verifier};

-- name: grant_membership
-- Makes a login a member of a group role, whose privileges it inherits.
GRANT {member_of} TO {role};

-- name: role_exists
-- Returns one row if the role exists.
SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %(role)s;

-- name: warm_connection
-- Runs the champion once in a new pooled connection; does nothing before the first model or schema.
DO $$BEGIN PERFORM public.warm_scoring(); EXCEPTION WHEN OTHERS THEN NULL; END$$;
