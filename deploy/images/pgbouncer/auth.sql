-- PgBouncer's lookup: the stored password of one login that is still valid. Placeholders: role, database.
CREATE SCHEMA IF NOT EXISTS pgbouncer;
REVOKE ALL ON SCHEMA pgbouncer FROM PUBLIC;

-- SECURITY DEFINER because only superusers read pg_authid. It checks rolvaliduntil: PgBouncer compares passwords
-- itself and would accept an expired login on a server connection that is already open.
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
