"""Runs Alembic from code: schema and model revisions of one database, in the caller's transaction."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from rowguard import resources
from rowguard.database import one_line, redact_url, sqlalchemy_url
from rowguard.errors import DatabaseUnavailableError, RegistryError, SchemaError
from rowguard.queries import load_queries

QUERIES = load_queries("sql_scoring")

MIGRATIONS = resources.migrations()


@contextmanager
def transaction(url: str) -> Iterator[sa.Connection]:
    """Open one direct transaction for Alembic and our own queries together.

    Raises:
        DatabaseUnavailableError: No server accepts a connection at `url`.
    """
    engine = sa.create_engine(sqlalchemy_url(url), poolclass=sa.pool.NullPool)
    try:
        try:
            connection = engine.connect()
        except sa.exc.OperationalError as error:
            reason = one_line(error.orig or error)  # type: ignore[arg-type, unused-ignore]
            raise DatabaseUnavailableError(f"no connection to {redact_url(url)}: {reason}") from None
        with connection, connection.begin():
            yield connection
    finally:
        engine.dispose()


def driver(connection: sa.Connection) -> psycopg.Connection:
    """Return the psycopg connection underneath, in the same transaction."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    return raw


def lock(connection: sa.Connection) -> None:
    """Wait until no other transaction deploys, and keep others from it until this one ends.

    Raises:
        SchemaError: The database has no rowguard schema.
    """
    try:
        driver(connection).execute(QUERIES["lock_deployments"])
    except (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedFunction):
        raise SchemaError from None


def config(connection: sa.Connection | None, version_folders: list[Path]) -> Config:
    """Return Alembic's configuration for this connection and these folders of revisions."""
    result = Config()
    result.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    result.set_main_option("prepend_sys_path", str(MIGRATIONS.parent).replace("%", "%%"))
    result.set_main_option("path_separator", "os")
    folders = os.pathsep.join(str(folder) for folder in (MIGRATIONS / "schema", *version_folders))
    result.set_main_option("version_locations", folders.replace("%", "%%"))
    result.attributes["connection"] = connection
    return result


def upgrade(connection: sa.Connection, target: str, version_folders: list[Path]) -> None:
    """Run revisions up to `target`.

    Raises:
        RegistryError: The folders and the database do not fit together.
        SchemaError: The login role lacks a privilege, such as to create a missing group role.
    """
    try:
        command.upgrade(config(connection, version_folders), target)
    except CommandError as error:
        raise RegistryError(f"migrations: {error}") from None
    except sa.exc.ProgrammingError as error:
        if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            details = (error.orig.diag.message_primary, error.orig.diag.message_hint)
            raise SchemaError("; ".join(text for text in details if text)) from None
        raise


def schema_head() -> str:
    """Return the id of the newest schema revision."""
    head = ScriptDirectory.from_config(config(None, [])).get_current_head()
    assert head is not None
    return head
