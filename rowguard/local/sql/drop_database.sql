-- Ends the sessions of a database and drops it.
DROP DATABASE IF EXISTS {database} WITH (FORCE)
