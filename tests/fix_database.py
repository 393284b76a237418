"""Databases for tests: one private server a session, templates built by the real migrations, a clone per test.

`TEST_DATABASE_URL` names another server (a superuser's URL); otherwise a private one is started, of the
programs that ROWGUARD_POSTGRES_BIN or the embedded wheel gives.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from rowguard.local import temporary_server
from rowguard.operations.importer import load_history, load_users
from rowguard.settings import Settings
from simulator import SimulationConfig, simulate
from trainer.lifecycle import migrate
from trainer.retrain import retrain

# The gates' budgets for a call: how quick this machine is just now is no test's question but theirs.
PATIENT_MS = 600_000.0
PATIENT_GATES = {
    "ROWGUARD_GATE_MAX_FIRST_CALL_MS": str(PATIENT_MS),
    "ROWGUARD_GATE_MAX_CALL_MS": str(PATIENT_MS),
}


@dataclass(frozen=True)
class Workspace:
    """A database and the settings that go with it: a state and a models folder of its own."""

    url: str
    settings: Settings

    @contextmanager
    def connect(self, role: str | None = None) -> Iterator[psycopg.Connection]:
        """An autocommit connection, if asked for with the rights of a group role."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            if role is not None:
                connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            yield connection


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A superuser's URL of the test server."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    with temporary_server() as server:
        with server.connect() as connection:
            # It comes by every minute: some tests would meet it, and see other statistics and plans than the rest.
            connection.execute("ALTER SYSTEM SET autovacuum = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.url


@pytest.fixture(scope="session")
def database_url(server_url: str) -> Iterator[str]:
    """An empty scratch database for the session."""
    with _database(server_url) as url:
        yield url


@pytest.fixture
def empty_workspace(server_url: str, tmp_path: Path) -> Iterator[Workspace]:
    """A database without anything in it."""
    with _database(server_url) as url:
        yield Workspace(url, _settings(url, tmp_path / "empty"))


@pytest.fixture(scope="session")
def migrated_template(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Schema and features, nothing in them; tests clone it and leave it alone."""
    with _database(server_url) as url:
        workspace = Workspace(url, _settings(url, tmp_path_factory.mktemp("migrated")))
        migrate(url, workspace.settings)
        yield workspace


@pytest.fixture(scope="session")
def scored_template(
    server_url: str, migrated_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workspace]:
    """A small simulated history and a deployed model; tests clone it and leave it alone."""
    folder = tmp_path_factory.mktemp("scored")
    with _database(server_url, migrated_template.url) as url:
        workspace = Workspace(url, _settings(url, folder))
        world = simulate(SimulationConfig(users=300, merchants=120, days=45, seed=5, fraud_rate=0.02))
        load_users(url, world.users)
        load_history(
            url,
            world.transactions.drop_columns(["transaction_id", "scenario"]).to_batches(65_536),
            label_delay=timedelta(days=7),
            source="simulator",
        )
        retrain(url, workspace.settings)
        yield workspace


@pytest.fixture
def migrated(server_url: str, migrated_template: Workspace, tmp_path: Path) -> Iterator[Workspace]:
    """A clone with schema and features, without a model."""
    with _database(server_url, migrated_template.url) as url:
        yield Workspace(url, _settings(url, tmp_path / "migrated"))


@pytest.fixture
def scored(server_url: str, scored_template: Workspace, tmp_path: Path) -> Iterator[Workspace]:
    """A clone with a history and a deployed model, its artifacts and revision files."""
    with _database(server_url, scored_template.url) as url:
        workspace = Workspace(url, _settings(url, tmp_path / "scored"))
        for name in ("state_dir", "models_dir"):
            shutil.copytree(
                getattr(scored_template.settings, name), getattr(workspace.settings, name), dirs_exist_ok=True
            )
        yield workspace


def _settings(url: str, folder: Path) -> Settings:
    return Settings(
        database_url=SecretStr(url),
        state_dir=folder / "state",
        models_dir=folder / "models",
        gate_max_first_call_ms=PATIENT_MS,
        gate_max_call_ms=PATIENT_MS,
        _env_file=None,
    )


def _when_unused(connection: psycopg.Connection, statement: sql.Composed) -> None:
    """PostgreSQL itself waits 5 s for sessions that are ending, which may take longer on a busy machine."""
    deadline = time.monotonic() + 60
    while True:
        try:
            connection.execute(statement)
        except psycopg.errors.ObjectInUse:
            if time.monotonic() > deadline:
                raise
        else:
            return


@contextmanager
def _database(server_url: str, template_url: str | None = None) -> Iterator[str]:
    name = sql.Identifier(f"test_{uuid.uuid4().hex[:12]}")
    template = (
        sql.Identifier(urlsplit(template_url).path[1:]) if template_url else sql.Identifier("template0")
    )
    with psycopg.connect(server_url, autocommit=True) as connection:
        _when_unused(connection, sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, template))
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name.as_string(None).strip(chr(34))}"))
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            _when_unused(connection, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
