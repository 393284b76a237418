"""The schema by migration equals the schema by its files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from rowguard.declaration import declared
from rowguard.local import find_postgres_binaries
from rowguard.settings import PROJECT_ROOT
from sql_scoring.deployment import migrate_schema
from sql_scoring.schema_files import BUILD_ORDER, SQL_DIR, read_schema_file
from tests.fix_database import Workspace


def test_every_sql_file_is_part_of_the_build() -> None:
    root = Path(str(SQL_DIR))
    on_disk = {str(path.relative_to(root)) for path in root.rglob("*.sql")}
    assert on_disk == set(BUILD_ORDER)


def test_migrations_and_current_files_give_the_same_schema(
    empty_workspace: Workspace, database_url: str
) -> None:
    migrate_schema(empty_workspace.url, empty_workspace.settings.models_dir)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("\n".join(read_schema_file(name, declared()) for name in BUILD_ORDER).encode())
    assert _dump(empty_workspace.url) == _dump(database_url)


def test_offline_script_gives_the_same_schema(empty_workspace: Workspace, scratch: str) -> None:
    script = subprocess.run(
        [str(PROJECT_ROOT / ".venv" / "bin" / "alembic"), "upgrade", "schema@head", "--sql"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    with psycopg.connect(scratch, autocommit=True) as connection:
        connection.execute(script.encode())
    migrate_schema(empty_workspace.url, empty_workspace.settings.models_dir)
    assert _dump(empty_workspace.url) == _dump(scratch)


def test_migrating_twice_changes_nothing(migrated: Workspace) -> None:
    before = _dump(migrated.url)
    migrate_schema(migrated.url, migrated.settings.models_dir)
    assert _dump(migrated.url) == before


@pytest.fixture
def scratch(server_url: str) -> str:
    """A second empty database, dropped with the server."""
    name = f"scratch_{os.getpid()}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()


def _dump(url: str) -> list[str]:
    """The schema as pg_dump writes it, without what differs by chance or belongs to Alembic."""
    program = find_postgres_binaries() / "pg_dump"
    given = Path(os.environ.get("PG_DUMP", program))
    text = subprocess.run(
        [str(given), "--schema-only", "--exclude-table=scoring.alembic_version", url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict", "--"))]
