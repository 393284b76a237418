"""The database that a command works on, looked at before the work begins."""

from __future__ import annotations

from rowguard.queries import load_queries

QUERIES = load_queries("rowguard.cli")


def database_url() -> str:
    """The address of a database that answers and has the schema.

    Without this look dbt would build into an empty database and stand in the way of the first migration.

    Raises:
        SettingsError: DATABASE_URL is malformed.
        DatabaseUnavailableError: nobody answers there.
        SchemaError: the schema is missing.
    """
    from rowguard.database import connect
    from rowguard.errors import SchemaError

    url = unchecked_database_url()
    with connect(url) as connection:
        row = connection.execute(QUERIES["has_schema"]).fetchone()
    if not (row and row[0]):
        raise SchemaError
    return url


def unchecked_database_url() -> str:
    """The address of the database; only its form is looked at.

    Raises:
        SettingsError: DATABASE_URL is malformed.
    """
    from rowguard.local import add_pgbouncer_admin_url, resolve_database_url
    from rowguard.settings import settings

    require_addresses()
    url = resolve_database_url(settings())
    add_pgbouncer_admin_url(settings())
    return url


def require_addresses() -> None:
    """Look at the form of the given addresses; they are not repeated, as they hold passwords.

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
                # libpq would take whatever server it finds by its own defaults.
                raise ValueError
            options = conninfo_to_dict(address.get_secret_value()) if address is not None else {}
            int(str(options.get("port") or 0).split(",")[0])
        except (psycopg.ProgrammingError, ValueError):
            raise SettingsError(
                f"{name} is not a PostgreSQL address such as postgresql://user:password@host:5432/database"
            ) from None
