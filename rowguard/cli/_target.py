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

    url: str = local_stack().resolve_database_url(settings())
    local_stack().add_pgbouncer_admin_url(settings())
    return url
