"""Real servers in short temporary directories, destroyed afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from rowguard.local import PostgresServer, destroy, temporary_server
from rowguard.settings import PROJECT_ROOT, Settings
from tests import ports


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty directory that every user can reach, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="rowguard-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def make_server(folder: Path) -> Iterator[Callable[..., PostgresServer]]:
    """Makes servers (durable ones only when asked) that are gone after the test."""
    made: list[PostgresServer] = []

    def make(name: str = "pg", **options: Any) -> PostgresServer:
        server = PostgresServer(folder / name, **({"durable": False} | options))
        made.append(server)
        return server

    yield make
    for server in made:
        server.destroy()


@pytest.fixture(scope="session")
def stopped_server() -> Iterator[Path]:
    """The directory of a server that was started once: copying it is quicker than initdb."""
    with temporary_server() as server:
        server.stop()
        for name in ("port", "lock", "owner"):
            (server.directory / name).unlink()
        yield server.directory


@pytest.fixture
def server(make_server: Callable[..., PostgresServer], stopped_server: Path) -> PostgresServer:
    """A server of its own that is initialised and does not run."""
    server = make_server()
    subprocess.run(["cp", "-a", stopped_server, server.directory], check=True)
    return server


@pytest.fixture(scope="module")
def running(stopped_server: Path) -> Iterator[PostgresServer]:
    """A running server that several tests share: none of them stops it."""
    with tempfile.TemporaryDirectory(prefix="rowguard-test-") as folder:
        Path(folder).chmod(0o755)
        server = PostgresServer(Path(folder) / "pg", durable=False)
        subprocess.run(["cp", "-a", stopped_server, server.directory], check=True)
        server.ensure_running()
        yield server
        server.destroy()


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    return ports.free_port()


@pytest.fixture
def make_settings(folder: Path, free_port: int) -> Iterator[Callable[..., Settings]]:
    """Settings of a checkout of its own, whose stack is destroyed afterwards."""
    made: list[Settings] = []

    def make(**fields: Any) -> Settings:
        values: dict[str, Any] = {"state_dir": folder / ".rowguard", "api_port": free_port}
        values |= {"database_url": None, "pooled_url": None}
        values |= {name: SecretStr(value) if "url" in name else value for name, value in fields.items()}
        settings = Settings(**values)
        made.append(settings)
        return settings

    yield make
    for settings in made:
        destroy(settings)


@pytest.fixture
def stranger() -> Iterator[Callable[[int], None]]:
    """Takes ports as another program would."""
    taken: list[socket.socket] = []

    def take(port: int) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        taken.append(listener)

    yield take
    for listener in taken:
        listener.close()


@pytest.fixture
def other_command() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Runs Python code as another command of the same user would."""
    started: list[subprocess.Popen[str]] = []

    def run(code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=PROJECT_ROOT,
            env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()
