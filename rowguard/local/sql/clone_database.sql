-- A copy of a database to which nobody is connected.
CREATE DATABASE {database} TEMPLATE {template}
