"""The process of a running server, found through the pid file in its data directory."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rowguard.errors import LocalStackError
from rowguard.local._processes import command_line, is_alive, wait_until

_NAME = "postmaster.pid"
_FAST_SECONDS = 60.0
_IMMEDIATE_SECONDS = 15.0
_WRITING_SECONDS = 5.0


@dataclass(frozen=True)
class Postmaster:
    """What the pid file tells of a server."""

    pid: int
    port: int


def _read(data: Path) -> Postmaster | None:
    """The pid file as it is, whoever has that number now; None when there is none or it is not whole."""
    try:
        lines = (data / _NAME).read_text(encoding="utf-8", errors="replace").splitlines()
        return Postmaster(pid=int(lines[0]), port=int(lines[3]))
    except (OSError, IndexError, ValueError):
        return None


def _is_stranger(pid: int, data: Path) -> bool:
    """Whether a living process is certainly not the server of this data directory."""
    command = command_line(pid)
    if command is None:
        return False  # taking our own server for a stranger could start a second one on its data
    return not any(f" {path} " in f"{command} " for path in (data, data.resolve()))


def find_postmaster(data: Path) -> Postmaster | None:
    """The living server of a data directory; a pid file that outlived its server tells of none."""
    postmaster = _read(data)
    if postmaster is None or not is_alive(postmaster.pid) or _is_stranger(postmaster.pid, data):
        return None
    return postmaster


def clear_stale_pid_file(data: Path) -> None:
    """Remove a pid file that outlived its server.

    PostgreSQL overcomes one whose number is free. It refuses to start when a stranger has the number, when
    the killed server is a zombie that nobody collects (a container without an init process), and when the
    file is not whole. Sessions that outlive their server are found without the file, by the shared memory.
    """
    path = data / _NAME
    if not path.exists():
        return
    wait_until(lambda: _read(data) is not None or not path.exists(), _WRITING_SECONDS)
    if find_postmaster(data) is None:
        with suppress(FileNotFoundError):
            path.unlink()


def stop_postmaster(data: Path, log_file: Path, *, for_good: bool = False) -> bool:
    """Stop the server of a data directory, ending its sessions; returns whether it ran.

    `for_good` skips writing everything out: the data are about to be deleted.

    By signals and not by pg_ctl, so that it works when the programs have been replaced or removed.

    Raises:
        LocalStackError: it does not end, or belongs to another user.
    """
    postmaster = find_postmaster(data)
    if postmaster is None:
        return False
    # Fast, then immediate, after which the next start recovers from the log.
    ways = ((signal.SIGINT, _FAST_SECONDS), (signal.SIGQUIT, _IMMEDIATE_SECONDS))
    for kind, seconds in ways[1:] if for_good else ways:
        try:
            os.kill(postmaster.pid, kind)
        except ProcessLookupError:
            return True
        except PermissionError as error:
            raise LocalStackError(
                f"PostgreSQL in {data} belongs to another user: run rowguard down as that user"
            ) from error
        if wait_until(lambda: find_postmaster(data) is None, seconds):
            return True
    raise LocalStackError(f"PostgreSQL (process {postmaster.pid}) in {data} does not end; see {log_file}")
