"""Private servers for tests: quick, not durable, gone afterwards."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rowguard.local._postgres import PostgresServer
from rowguard.local._processes import ProcessRecord, birth

_PREFIX = "rowguard-temporary-"
_OWNER = "owner"


@contextmanager
def temporary_server(*, binaries: Path | None = None) -> Iterator[PostgresServer]:
    """A running, non-durable server in a temporary directory, stopped and deleted at the end.

    What a killed test run left behind is cleared away first.

    Raises:
        LocalStackError: it cannot be started.
    """
    _clear_left_overs()
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
    ProcessRecord(os.getpid(), birth(os.getpid())).save(directory / _OWNER)
    server = PostgresServer(directory, binaries=binaries, durable=False)
    try:
        server.ensure_running()
        yield server
    finally:
        server.destroy()


def _clear_left_overs() -> None:
    """Stop and delete servers of processes that are gone."""
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # The temporary directory is everybody's: only what is ours may be believed and deleted.
        try:
            if directory.is_symlink() or directory.stat().st_uid != os.geteuid():
                continue
        except FileNotFoundError:  # another test run has just ended
            continue
        owner = ProcessRecord.load(directory / _OWNER)
        if owner is not None and not owner.runs():
            PostgresServer(directory).destroy()
