"""Databases for tests: templates built by the real migrations once a session, and a clone for each test."""

from __future__ import annotations

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

from rowguard.operations.importer import load_history, load_reference
from rowguard.settings import Settings
from simulator import SimulationConfig, simulate
from sql_scoring.deployment.migrate import migrate
from tests.user_keys import USER_ID_TYPE, let_numbers_name_users
from trainer.retrain import retrain

# The gates measure how fast a call is, which depends on the machine. Only their own tests check that.
PATIENT_MS = 600_000.0
PATIENT_GATES = {
    "ROWGUARD_GATE_MAX_FIRST_CALL_MS": str(PATIENT_MS),
    "ROWGUARD_GATE_MAX_CALL_MS": str(PATIENT_MS),
}


@dataclass(frozen=True)
class Workspace:
    """A database and its settings, with a separate state and models folder."""

    url: str
    settings: Settings

    @contextmanager
    def connect(self, role: str | None = None) -> Iterator[psycopg.Connection]:
        """Open an autocommit connection, optionally with the rights of a group role."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            if role is not None:
                connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            yield connection


@pytest.fixture(scope="session")
def database_url(server_url: str) -> Iterator[str]:
    """An empty scratch database for the session."""
    with _database(server_url) as url:
        yield url


@pytest.fixture
def empty_workspace(server_url: str, tmp_path: Path) -> Iterator[Workspace]:
    """An empty database."""
    with _database(server_url) as url:
        yield _workspace(url, tmp_path / "empty")


@pytest.fixture(scope="session")
def migrated_template(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Schema and features without rows; tests only clone it."""
    with _database(server_url) as url:
        workspace = _workspace(url, tmp_path_factory.mktemp("migrated"))
        let_numbers_name_users(url)
        migrate(url, workspace.settings)
        yield workspace


@pytest.fixture(scope="session")
def scored_template(
    server_url: str, migrated_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workspace]:
    """A small simulated history and a deployed model; tests only clone it."""
    with _database(server_url, migrated_template.url) as url:
        workspace = _workspace(url, tmp_path_factory.mktemp("scored"))
        world = simulate(
            SimulationConfig(
                users=300, merchants=120, days=45, seed=5, fraud_rate=0.02, user_id_type=USER_ID_TYPE
            )
        )
        load_reference(url, world.users.to_batches(), "users")
        load_history(
            url,
            world.transactions.drop_columns(["scenario"]).to_batches(65_536),
            label_delay=timedelta(days=7),
            source="simulator",
        )
        retrain(url, workspace.settings)
        yield workspace


@pytest.fixture
def migrated(server_url: str, migrated_template: Workspace, tmp_path: Path) -> Iterator[Workspace]:
    """A clone with schema and features, without a model."""
    with _database(server_url, migrated_template.url) as url:
        yield _workspace(url, tmp_path / "migrated")


@pytest.fixture
def scored(server_url: str, scored_template: Workspace, tmp_path: Path) -> Iterator[Workspace]:
    """A clone with a history and a deployed model, its artifacts and revision files."""
    with _database(server_url, scored_template.url) as url:
        workspace = _workspace(url, tmp_path / "scored")
        for name in ("state_dir", "models_dir"):
            source, target = getattr(scored_template.settings, name), getattr(workspace.settings, name)
            shutil.copytree(source, target, dirs_exist_ok=True)
        yield workspace


def _workspace(url: str, folder: Path) -> Workspace:
    return Workspace(url, _settings(url, folder))


def _settings(url: str, folder: Path) -> Settings:
    return Settings(
        database_url=SecretStr(url),
        state_dir=folder / "state",
        models_dir=folder / "models",
        gate_max_first_call_ms=PATIENT_MS,
        gate_max_call_ms=PATIENT_MS,
        _env_file=None,
    )


@contextmanager
def _database(server_url: str, template_url: str = "/template0") -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    names = {"name": sql.Identifier(name), "template": sql.Identifier(urlsplit(template_url).path[1:])}
    _execute_when_unused(server_url, sql.SQL("CREATE DATABASE {name} TEMPLATE {template}").format(**names))
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        _execute_when_unused(server_url, sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))


def _execute_when_unused(server_url: str, statement: sql.Composed) -> None:
    """Retry while sessions of the database are ending; PostgreSQL itself waits only 5 s for them."""
    deadline = time.monotonic() + 60
    with psycopg.connect(server_url, autocommit=True) as connection:
        while True:
            try:
                connection.execute(statement)
            except psycopg.errors.ObjectInUse:
                if time.monotonic() > deadline:
                    raise
            else:
                return
