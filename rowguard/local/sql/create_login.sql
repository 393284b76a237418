-- A login without privileges of its own. The verifier is SCRAM's, never the password.
CREATE ROLE {role} LOGIN PASSWORD {verifier}
