"""Alembic, called from code: schema and model revisions of one database."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from rowguard.database import one_line, redact_url, sqlalchemy_url
from rowguard.errors import DatabaseUnavailableError, RegistryError
from rowguard.queries import load_queries
from rowguard.settings import PROJECT_ROOT

QUERIES = load_queries("sql_scoring")

MIGRATIONS = PROJECT_ROOT / "migrations"


@contextmanager
def transaction(url: str) -> Iterator[sa.Connection]:
    """One direct transaction for Alembic and our own queries together.

    Raises:
        DatabaseUnavailableError: nobody answers at `url`.
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
    """The psycopg connection underneath, in the same transaction."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    return raw


def lock(connection: sa.Connection) -> None:
    """One change at a time: wait until nobody else changes who decides."""
    driver(connection).execute(QUERIES["lock_deployments"])


def config(connection: sa.Connection | None, version_folders: list[Path]) -> Config:
    """Alembic's configuration for this connection and these folders of revisions."""
    result = Config()
    result.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    result.set_main_option("prepend_sys_path", str(PROJECT_ROOT).replace("%", "%%"))
    result.set_main_option("path_separator", "os")
    folders = os.pathsep.join(str(folder) for folder in (MIGRATIONS / "schema", *version_folders))
    result.set_main_option("version_locations", folders.replace("%", "%%"))
    result.attributes["connection"] = connection
    return result


def upgrade(connection: sa.Connection, target: str, version_folders: list[Path]) -> None:
    """Run revisions up to `target` in the caller's transaction.

    Raises:
        RegistryError: the folders and the database do not fit together.
    """
    try:
        command.upgrade(config(connection, version_folders), target)
    except CommandError as error:
        raise RegistryError(f"migrations: {error}") from None


def downgrade(connection: sa.Connection, target: str, version_folders: list[Path]) -> None:
    """Take revisions back down to `target` in the caller's transaction."""
    try:
        command.downgrade(config(connection, version_folders), target)
    except CommandError as error:
        raise RegistryError(f"migrations: {error}") from None


def schema_head() -> str:
    """Id of the newest schema revision."""
    return next(
        revision.revision
        for revision in ScriptDirectory.from_config(config(None, [])).walk_revisions()
        if revision.is_head
    )


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write a revision's files so that its `.py`, which makes it count, comes last and whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as scratch:
        for name, text in files.items():
            path = Path(scratch, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        # Folders first; the .py last.
        for entry in sorted(Path(scratch).iterdir(), key=lambda path: path.suffix == ".py"):
            goal = folder / entry.name
            if goal.is_dir():
                shutil.rmtree(goal)
            os.replace(entry, goal)


def refuse_unknown_files(folder: Path, known: set[str]) -> None:
    """Every revision file in the folder must be applied before another goes on top.

    Raises:
        RegistryError: names a file that the database does not have.
    """
    for path in sorted(folder.glob("*.py")):
        if path.name not in known:
            raise RegistryError(
                f"{path.name} is not applied to this database; run: rowguard migrate (or remove the file, "
                "if it belongs to another database)"
            )
