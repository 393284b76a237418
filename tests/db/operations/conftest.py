"""Durable servers next to the test server: one to back up and move from, others to move to."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowguard.local import PostgresServer, find_postgres_binaries
from rowguard.settings import Settings
from sql_scoring.schema_files import SQL_DIR
from tests.fix_database import Workspace, _database, _settings

DECISIONS = (
    "SELECT user_id, transaction_id, occurred_at, received_at, amount, fraud_flag, fraud_probability, model_version,"
    " scored_at, feature_values, unscored_reason, is_history, idempotency_key FROM transactions ORDER BY 1, 2"
)
QUESTIONS = (
    "SELECT s.* FROM generate_series(1, 60) AS g CROSS JOIN LATERAL score_transaction(user_id => g,"
    " amount => (g * 7.25)::numeric, merchant_id => g %% 40, location => 'DE', occurred_at => '2026-11-20 12:00+00') AS s"
).replace("%%", "%")


def program(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run one of PostgreSQL's own programs."""
    done = subprocess.run(
        [str(find_postgres_binaries() / name), *map(str, arguments)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done


@contextmanager
def durable_server(wal_level: str = "replica") -> Iterator[PostgresServer]:
    """A separate server, as `rowguard up` makes it, deleted afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="rowguard-operations-"))
    folder.chmod(0o711)
    server = PostgresServer(folder / "postgres")
    try:
        server.ensure_running()
        if wal_level != "replica":
            with server.connect() as connection:
                connection.execute(f"ALTER SYSTEM SET wal_level = '{wal_level}'".encode())
            server.stop()
            server.ensure_running()
        yield server
    finally:
        server.destroy()
        shutil.rmtree(folder, ignore_errors=True)


def create_roles(url: str) -> None:
    """What `pg_dumpall --roles-only` would bring: a dump of one database holds no roles."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((SQL_DIR / "roles" / "roles.sql").read_text().encode())


def rows(url: str, query: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def settings_with_artifacts(url: str, folder: Path, template: Workspace) -> Settings:
    """The moved checkout's settings: the artifacts travel with the state directory, revision files come back."""
    settings = _settings(url, folder)
    shutil.copytree(template.settings.state_dir, settings.state_dir, dirs_exist_ok=True)
    return settings


@pytest.fixture(scope="module")
def dump(server_url: str, scored_template: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`pg_dump -Fc` of a database with a history, a model and live decisions."""
    with (
        _database(server_url, scored_template.url) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        connection.execute(
            "INSERT INTO transactions (user_id, amount, merchant_id, location)"
            " SELECT 1 + g % 300, 5 + g, g % 50, 'DE' FROM generate_series(1, 200) AS g"
        )
        before = connection.execute(DECISIONS.encode()).fetchall()
        file = tmp_path_factory.mktemp("dump") / "rowguard.dump"
        program("pg_dump", "-Fc", "-f", file, url)
    rows_before[file] = before
    return file


rows_before: dict[Path, list[Any]] = {}


@pytest.fixture(scope="module")
def primary(dump: Path) -> Iterator[PostgresServer]:
    """A second server that was filled by `pg_restore`; it can be replicated from."""
    with durable_server("logical") as server:
        create_roles(server.url)
        program("pg_restore", "--no-owner", "--exit-on-error", "-d", server.url, dump)
        yield server
