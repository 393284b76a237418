-- An empty database.
CREATE DATABASE {database}
