"""Runs Alembic from code: schema and model revisions of one database, in the caller's transaction."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from rowguard import resources
from rowguard.database import open_connection
from rowguard.declaration import Declaration
from rowguard.errors import RegistryError, SchemaError

MIGRATIONS = resources.migrations()


@contextmanager
def transaction(url: str) -> Iterator[sa.Connection]:
    """Open one direct transaction for Alembic and our own queries together; errors as of `open_connection`."""
    engine = sa.create_engine(
        "postgresql+psycopg://", creator=partial(open_connection, url), poolclass=sa.pool.NullPool
    )
    with engine.begin() as connection:
        yield connection


def driver(connection: sa.Connection) -> psycopg.Connection:
    """Return the psycopg connection underneath, in the same transaction."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    return raw


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


def upgrade(
    connection: sa.Connection,
    target: str,
    version_folders: list[Path],
    declaration: Declaration | None = None,
) -> None:
    """Run revisions up to `target`.

    Args:
        connection: In the transaction of the migration.
        target: Revision, such as `schema@head`.
        version_folders: Folders of generated revisions.
        declaration: Columns that the first schema revision creates; None is that of the process's settings.

    Raises:
        RegistryError: The folders and the database do not fit together.
        SchemaError: The login role lacks a privilege, such as to create a missing group role.
    """
    try:
        used = config(connection, version_folders)
        used.attributes["declaration"] = declaration
        command.upgrade(used, target)
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
