"""Loopback ports: chosen once, remembered, checked before use."""

from __future__ import annotations

import socket
import sys
import zlib
from pathlib import Path

from rowguard.errors import LocalStackError
from rowguard.local._files import read_text, write_private

LOOPBACK = "127.0.0.1"
# Below the range that Linux (32768) and macOS (49152) take for outgoing connections, which would otherwise
# sit on a remembered port now and then.
_FIRST, _COUNT = 20_000, 12_000
_TRIES = 200
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def local_host(host: str) -> str:
    """The host to connect to for a server that listens on `host`."""
    return _WILDCARDS.get(host, host)


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether nobody listens there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    # BSD and macOS let us bind one address although a stranger listens on all of them.
    return sys.platform.startswith("linux") or not answers(port, local_host(host))


def answers(port: int, host: str = LOOPBACK) -> bool:
    """Whether somebody accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False


def choose(seed: str, *, avoid: frozenset[int] = frozenset()) -> int:
    """A free port; the same seed begins its search at the same one, so checkouts rarely meet.

    Raises:
        LocalStackError: none is free.
    """
    start = zlib.crc32(seed.encode()) % _COUNT
    for step in range(_TRIES):
        port = _FIRST + (start + step * 7) % _COUNT
        if port not in avoid and is_free(port):
            return port
    raise LocalStackError(f"found no free port on {LOOPBACK} between {_FIRST} and {_FIRST + _COUNT}")


def recall(path: Path) -> int | None:
    """The port remembered in a file."""
    text = read_text(path)
    return int(text) if text and text.isdigit() and 0 < int(text) < 65536 else None


def remember(path: Path, port: int) -> None:
    """Keep the port for the next start."""
    write_private(path, f"{port}\n")
