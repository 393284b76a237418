"""Ports that nobody else gets before the server that they are for listens on them."""

from __future__ import annotations

import random
import socket
import sys

# Below what Linux and macOS give to outgoing connections and to those who ask for any port, and below what
# `rowguard up` chooses from.
FIRST, COUNT = 10_000, 10_000
_held: list[socket.socket] = []


def free_port() -> int:
    """A loopback port for a server; on Linux it stays reserved for the rest of the run.

    There a server, which sets SO_REUSEADDR, may bind what a socket of ours holds without listening, and nobody else
    may, another test run included. Elsewhere the port is free at this moment.
    """
    chance = random.SystemRandom()
    for _ in range(1_000):
        holder = socket.socket()
        try:
            holder.bind(("127.0.0.1", FIRST + chance.randrange(COUNT)))
        except OSError:
            holder.close()
            continue
        port = int(holder.getsockname()[1])
        if sys.platform.startswith("linux"):
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _held.append(holder)
        else:
            holder.close()
        return port
    raise AssertionError("no port is free")
