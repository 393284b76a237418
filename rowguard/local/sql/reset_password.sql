-- Sets the owner's password in single-user mode. Placeholders: role, verifier (SCRAM, never the password).
ALTER ROLE {role} PASSWORD '{verifier}';
