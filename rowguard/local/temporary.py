"""Private servers for tests and linters: fast, not durable, deleted at the end."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from rowguard.local.postgres import PostgresServer
from rowguard.local.processes import find_process
from rowguard.local.state import load_state, save_state

_PREFIX = "rowguard-temporary-"


@contextmanager
def temporary_server() -> Iterator[PostgresServer]:
    """Run a non-durable server in a temporary directory; delete it at the end."""
    _destroy_orphans()
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
    directory.chmod(0o711 if os.geteuid() == 0 else 0o700)
    owner = psutil.Process()
    save_state(directory, owner=[owner.pid, owner.create_time()])
    server = PostgresServer(directory, durable=False)
    try:
        server.ensure_running()
        yield server
    finally:
        server.destroy()


def _destroy_orphans() -> None:
    """Destroy the servers of test runs that were killed."""
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if directory.lstat().st_uid != os.geteuid():
                continue
        except FileNotFoundError:  # another run has just ended
            continue
        owner = load_state(directory).get("owner")
        if owner and find_process(*owner) is None:
            PostgresServer(directory).destroy()
