-- Whether the group is there and the role is in it; no row when there is no such group.
SELECT pg_has_role(%(role)s, g.oid, 'MEMBER')
FROM pg_catalog.pg_roles AS g
WHERE g.rolname = %(member_of)s
