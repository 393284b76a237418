"""Real servers in short temporary directories, destroyed afterwards."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rowguard.local import PostgresServer, destroy
from rowguard.settings import Settings
from tests.ports import free_port


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty directory that every user can enter, unlike pytest's."""
    path = Path(tempfile.mkdtemp(prefix="rowguard-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def server(folder: Path) -> Iterator[PostgresServer]:
    """A server that was never started."""
    server = PostgresServer(folder / "pg", durable=False)
    yield server
    server.destroy()


@pytest.fixture
def settings(folder: Path) -> Iterator[Settings]:
    """Settings of a separate stack."""
    settings = Settings(
        database_url=None,
        pooled_url=None,
        state_dir=folder / ".rowguard",
        models_dir=folder / "models",
        api_port=free_port(),
        _env_file=None,
    )
    yield settings
    destroy(settings)


@contextmanager
def listener(port: int) -> Iterator[None]:
    """Occupy a port as another program would."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        yield
