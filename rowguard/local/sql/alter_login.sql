-- Makes an existing role a login with this password. The verifier is SCRAM's, never the password.
ALTER ROLE {role} LOGIN PASSWORD {verifier} VALID UNTIL 'infinity'
