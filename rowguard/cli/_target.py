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
    from rowguard.settings import require_database_url, settings

    if settings().database_url is not None:
        return require_database_url(settings())
    url: str = local_stack().resolve_database_url(settings())
    local_stack().add_pgbouncer_admin_url(settings())
    return url


def resolve_version(url: str, given: str) -> str:
    """Return the registered version that a text names: itself, or the start of it or of its hash.

    Args:
        url: Address of the database.
        given: Such as rf_20261101_1a2b3c4d, or 1a2b.

    Returns:
        The version, or the text when none starts so; the registry then reports it.

    Raises:
        RegistryError: Several versions start so.
    """
    from rowguard.database import connect
    from rowguard.errors import RegistryError
    from sql_scoring.registry import list_models

    with connect(url) as connection:
        versions = [record.version for record in list_models(connection)]
    fitting = [
        version for version in versions if any(part.startswith(given) for part in (version, version[-8:]))
    ]
    if given in versions or not given or not fitting:
        return given
    if len(fitting) > 1:
        raise RegistryError(f"several versions start with {given!r}: {', '.join(fitting[:5])}")
    return fitting[0]
