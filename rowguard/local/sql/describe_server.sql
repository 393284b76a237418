-- Version of the server and size of the current database.
SELECT current_setting('server_version'), pg_database_size(current_database())
