-- What the server knows of one login role.
SELECT rolcanlogin, rolpassword, coalesce(rolvaliduntil <= now(), false) AS is_expired
FROM pg_catalog.pg_authid
WHERE rolname = %(role)s
