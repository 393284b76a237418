"""The database of a command: DATABASE_URL or the embedded server. Only this file knows the development stack."""

from __future__ import annotations

from typing import Any


def local_stack() -> Any:
    """Return the development stack, imported on demand."""
    from rowguard import local

    return local


def database_url() -> str:
    """Return the address of a reachable database with rowguard's schema.

    Raises:
        SettingsError: DATABASE_URL is malformed.
        DatabaseUnavailableError: The server cannot be reached.
        SchemaError: The schema is missing; dbt would otherwise build into an empty database.
    """
    from rowguard.database import connect
    from rowguard.errors import SchemaError
    from sql_scoring.registry import has_schema

    url = unchecked_database_url()
    with connect(url) as connection:
        if not has_schema(connection):
            raise SchemaError
    return url


def unchecked_database_url() -> str:
    """Return the address of the database; only its form is checked.

    Raises:
        SettingsError: DATABASE_URL is malformed.
    """
    from rowguard.settings import settings

    require_addresses()
    url: str = local_stack().resolve_database_url(settings())
    local_stack().add_pgbouncer_admin_url(settings())
    return url


def require_addresses() -> None:
    """Check the form of the given addresses; messages do not repeat them, as they hold passwords.

    Raises:
        SettingsError: DATABASE_URL or POOLED_DATABASE_URL is malformed.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    from rowguard.errors import SettingsError
    from rowguard.settings import settings

    given = {"DATABASE_URL": settings().database_url, "POOLED_DATABASE_URL": settings().pooled_url}
    for name, address in given.items():
        try:
            if address is not None and not address.get_secret_value().strip():
                # libpq would use the server that its defaults name.
                raise ValueError
            options = conninfo_to_dict(address.get_secret_value()) if address is not None else {}
            int(str(options.get("port") or 0).split(",")[0])
        except (psycopg.ProgrammingError, ValueError):
            raise SettingsError(
                f"{name} is not a PostgreSQL address such as postgresql://user:password@host:5432/database"
            ) from None
