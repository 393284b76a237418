"""Give the containers' login roles the passwords of the environment, and PgBouncer its lookup. Safe to repeat."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import LiteralString, cast

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowguard.database import connect
from rowguard.errors import RowguardError, SettingsError
from rowguard.settings import require_database_url, settings

PGBOUNCER = "pgbouncer"
# Login role, its group role (the schema makes it), the variable with its password.
LOGINS = (
    ("rowguard_api_service", "rowguard_api", "API_DB_PASSWORD"),
    ("rowguard_app_service", "rowguard_app", "APP_DB_PASSWORD"),
    (PGBOUNCER, None, "PGBOUNCER_PASSWORD"),
)
AUTH_SQL = Path(__file__).parent / "pgbouncer" / "auth.sql"


def set_logins(url: str) -> list[str]:
    """Create or change all login roles in one transaction.

    Returns:
        Their names.

    Raises:
        SettingsError: A variable is missing.
        DatabaseUnavailableError: The server does not answer.
    """
    passwords = {name: _read_password(variable) for name, _, variable in LOGINS}
    with connect(url) as connection:
        for name, group, _ in LOGINS:
            role = sql.Identifier(name)
            # A new verifier would disconnect PgBouncer's clients, so a password that works is left alone.
            if not _can_log_in(url, name, passwords[name]):
                _set_password(connection, name, passwords[name])
            if group is not None:
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), role))
        auth = sql.SQL(cast("LiteralString", AUTH_SQL.read_text(encoding="utf-8")))
        database = sql.Identifier(connection.info.dbname)
        connection.execute(auth.format(role=sql.Identifier(PGBOUNCER), database=database))
    return list(passwords)


def _read_password(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise SettingsError(f"{variable} is not set")
    return value


def _can_log_in(url: str, name: str, password: str) -> bool:
    try:
        psycopg.connect(make_conninfo(url, user=name, password=password, connect_timeout=10)).close()
    except psycopg.OperationalError:
        return False
    return True


def _set_password(connection: psycopg.Connection, name: str, password: str) -> None:
    exists = connection.execute("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s", (name,)).fetchone()
    # The statement holds SCRAM's verifier, never the password.
    verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    statement = "ALTER ROLE {} LOGIN PASSWORD {}" if exists else "CREATE ROLE {} LOGIN PASSWORD {}"
    connection.execute(sql.SQL(statement).format(sql.Identifier(name), sql.Literal(verifier)))


def main() -> None:
    """Set the logins; print one line."""
    try:
        names = set_logins(require_database_url(settings()))
        sys.stdout.write(f"logins ready: {', '.join(names)}\n")
    except RowguardError as error:
        sys.exit(f"logins: {error}")


if __name__ == "__main__":
    main()
