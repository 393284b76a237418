-- Puts a login into a group, whose privileges it then has.
GRANT {member_of} TO {role}
