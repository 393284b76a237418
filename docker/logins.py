"""Gives the containers' log-ins the passwords of the environment, and PgBouncer its look-up; safe to repeat.

A log-in whose password is right already is left alone: a new verifier would cut PgBouncer's clients off.
"""

from __future__ import annotations

import os
import sys

from psycopg import sql

from rowguard.database import connect
from rowguard.errors import RowguardError, SettingsError
from rowguard.local._logins import set_login
from rowguard.local._pgbouncer_config import LOGIN
from rowguard.local._sql import load_sql
from rowguard.settings import settings

# Log-in, the group whose rights it has (the schema makes it), the variable with its password.
MEMBERS = (
    ("rowguard_api_service", "rowguard_api", "API_DB_PASSWORD"),
    ("rowguard_app_service", "rowguard_app", "APP_DB_PASSWORD"),
)
PGBOUNCER_VARIABLE = "PGBOUNCER_PASSWORD"


def set_logins(url: str) -> list[str]:
    """All of them in one transaction; answers their names.

    Raises:
        SettingsError: a variable is missing.
        DatabaseUnavailableError: nobody answers at `url`.
    """
    passwords = {name: _password(variable) for name, _, variable in MEMBERS}
    pgbouncer_password = _password(PGBOUNCER_VARIABLE)
    with connect(url) as connection:
        for name, group, _ in MEMBERS:
            set_login(connection, name, passwords[name])
            names = {"role": sql.Identifier(name), "member_of": sql.Identifier(group)}
            connection.execute(load_sql("grant_membership", **names))
        set_login(connection, LOGIN, pgbouncer_password)
        database = sql.Identifier(connection.info.dbname)
        connection.execute(load_sql("pgbouncer_auth", role=sql.Identifier(LOGIN), database=database))
    return [*passwords, LOGIN]


def _password(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise SettingsError(f"{variable} is not set")
    return value


def main() -> None:
    """One line at the end, whatever it was."""
    try:
        url = settings().database_url
        if url is None:
            raise SettingsError("DATABASE_URL is not set")
        sys.stdout.write("log-ins ready: " + ", ".join(set_logins(url.get_secret_value())) + "\n")
    except RowguardError as error:
        sys.exit(f"logins: {error}")


if __name__ == "__main__":
    main()
