"""Files of the local stack: one private state file and one log per component, locks, ports."""

from __future__ import annotations

import json
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rowguard.errors import LocalStackError

LOOPBACK = "127.0.0.1"
LOCK_TIMEOUT_S = 180.0
# Below the ranges that Linux (32768) and macOS (49152) use for outgoing connections.
PORTS = range(20_000, 32_000)


def make_private_directory(path: Path) -> None:
    """Make a directory and its parent that only we can list; as root, the servers' account may pass through."""
    for folder in (path.parent, path):
        folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)


def write_private(path: Path, text: str) -> None:
    """Replace a file of mode 0600 atomically.

    Args:
        path: The file.
        text: Its new contents.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(name, path)


def load_state(directory: Path) -> dict[str, Any]:
    """Return what a component stored: ports, passwords, its process; empty before its first start."""
    path = directory / "state.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError as error:
        raise LocalStackError(f"{path} belongs to another user: run rowguard as that user") from error
    except ValueError as error:
        raise LocalStackError(f"{path} is damaged; stop what runs and delete {directory}") from error


def save_state(directory: Path, **values: Any) -> None:
    """Merge values into what a component stored."""
    write_private(directory / "state.json", json.dumps(load_state(directory) | values) + "\n")


@contextmanager
def component_lock(directory: Path) -> Iterator[None]:
    """Make concurrent commands take turns on one component; errors of files and programs become ours."""
    try:
        make_private_directory(directory)
        with FileLock(directory / "lock", timeout=LOCK_TIMEOUT_S, mode=0o600):
            yield
    except Timeout as error:
        raise LocalStackError(f"another command holds {directory / 'lock'}; wait for it or end it") from error
    except OSError as error:
        raise LocalStackError(f"{error.filename or directory}: {error.strerror}") from error


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Return whether a server can listen on the port.

    Args:
        port: Port number.
        host: Address to listen on.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def choose_port(directory: Path) -> int:
    """Return the stored port of a component if it is free, else a random free port."""
    stored: int | None = load_state(directory).get("port")
    ports = [*([stored] if stored else []), *random.sample(PORTS, 200)]
    return next(port for port in ports if is_free(port))


def open_log(path: Path) -> int:
    """Start a new log, keep the previous one as `<name>.1`, and return a file descriptor."""
    make_private_directory(path.parent)
    if path.exists():
        os.replace(path, f"{path}.1")
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def error_line(log: str) -> str:
    """Return the line of a log that states the error."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if "FATAL" in line or "ERROR" in line or "error:" in line]
    return (errors or lines or ["the log is empty"])[-1]
