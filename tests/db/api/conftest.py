"""A server process with a separate database, called over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
from psycopg import sql

from rowguard.settings import PROJECT_ROOT
from tests.db.api.tokens import SECRET, write_jwks
from tests.fix_database import Workspace, _database, _settings
from tests.ports import free_port
from tests.user_keys import in_json, in_path

# For a busy machine: the imports are seconds of processor time.
START_S = 180.0
LOCK_USER = "SELECT pg_advisory_xact_lock(scoring.user_lock_key(%s))"
STOP_S = 60.0


class Client(httpx.Client):
    """Sends the users that tests name by number under ids of this run's type."""

    def request(self, method: str, url: Any, **options: Any) -> httpx.Response:
        if "json" in options:
            options["json"] = in_json(options["json"])
        return super().request(method, in_path(url) if isinstance(url, str) else url, **options)


@dataclass
class Api:
    """A running server and its log."""

    client: httpx.Client
    process: subprocess.Popen[bytes]
    log: Path
    workspace: Workspace | None = field(default=None)

    @property
    def database(self) -> Workspace:
        assert self.workspace is not None
        return self.workspace


def serve_command(port: int) -> list[str]:
    return [sys.executable, "-m", "rowguard.cli", "serve", "--port", str(port)]


def serve_environment(database_url: str, folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a server; further settings without their prefix, such as `api_rate_limit`."""
    taken = ("DATABASE_URL", "POOLED_DATABASE_URL")
    kept = {name: value for name, value in os.environ.items() if name not in taken}
    given = {
        name.upper() if name.endswith("database_url") else f"ROWGUARD_{name.upper()}": value
        for name, value in settings.items()
    }
    return kept | {
        "DATABASE_URL": database_url,
        "ROWGUARD_STATE_DIR": str(folder / "state"),
        "ROWGUARD_MODELS_DIR": str(folder / "models"),
        **given,
    }


@contextmanager
def serving(database_url: str, folder: Path, *, until: str = "/readyz", **settings: str) -> Iterator[Api]:
    """`rowguard serve` for this database until the block ends; it must stop without an error on SIGTERM.

    The block starts when the path `until` returns 200.
    """
    port, log = free_port(), folder / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            serve_command(port),
            cwd=PROJECT_ROOT,
            env=serve_environment(database_url, folder, **settings),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        with Client(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False) as client:
            _wait_for(until, client, process, log)
            yield Api(client, process, log)
        process.terminate()
        assert process.wait(STOP_S) in (0, -15), log.read_text()
    finally:
        process.kill()
        process.wait()


def _wait_for(path: str, client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            client.get(path).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"the API did not start: {log.read_text()}")


@contextmanager
def _api_login(workspace: Workspace) -> Iterator[str]:
    """The address of the database for a login with only the rights of the API."""
    name, password = f"test_api_{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE rowguard_api")
    with workspace.connect() as connection:
        connection.execute(create.format(sql.Identifier(name), sql.Literal(password)))
    parts = urlsplit(workspace.url)
    try:
        yield urlunsplit(parts._replace(netloc=f"{name}:{password}@{parts.netloc.rpartition('@')[2]}"))
    finally:
        with workspace.connect() as connection:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def api(
    server_url: str, scored_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """The API of a clone with a history and a deployed model."""
    yield from _api_of(server_url, scored_template, tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def api_without_model(
    server_url: str, migrated_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """The API of a clone with the schema, and no model."""
    yield from _api_of(server_url, migrated_template, tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def guarded_api(
    server_url: str, scored_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """The API that requires tokens, signed with the shared secret or by a key of its JWKS file."""
    folder = tmp_path_factory.mktemp("guarded")
    jwks = write_jwks(folder / "jwks.json", "one", "two")
    yield from _api_of(
        server_url, scored_template, folder, jwt_secret=SECRET, jwt_jwks_file=str(jwks), api_access_log="all"
    )


def _api_of(server_url: str, template: Workspace, folder: Path, **settings: str) -> Iterator[Api]:
    with _database(server_url, template.url) as url:
        workspace = Workspace(url, _settings(url, folder))
        with _api_login(workspace) as login_url, serving(login_url, folder, **settings) as running:
            running.workspace = workspace
            yield running


Count = Callable[[str], int]


@pytest.fixture
def rows_of(api: Api) -> Count:
    """Count the rows of a table."""
    return partial(count_rows, api)


def count_rows(api: Api, table: str) -> int:
    """Count the rows of a table in the database of an API."""
    with api.database.connect() as connection:
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    assert row is not None
    return int(row[0])


def problem(response: httpx.Response, status: int) -> dict[str, object]:
    """Return the problem document of a response, after its form was checked."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, object] = response.json()
    assert document["type"] == "about:blank" and document["status"] == status
    assert document["title"] and document["detail"]
    assert set(document) <= {"type", "title", "status", "detail", "errors"}
    return document
