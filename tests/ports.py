"""Free ports for servers under test."""

from __future__ import annotations

import random
import socket
import sys

# Below the ports of outgoing connections and of `rowguard up`.
PORTS = range(10_000, 20_000)
_reserved: list[socket.socket] = []


def free_port() -> int:
    """Return a loopback port, reserved on Linux for this process until a server binds it with SO_REUSEADDR."""
    for port in random.SystemRandom().sample(PORTS, 1_000):
        holder = socket.socket()
        try:
            holder.bind(("127.0.0.1", port))
        except OSError:
            holder.close()
            continue
        if sys.platform.startswith("linux"):
            # A bound socket that does not listen keeps other processes away, and lets such a server in.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _reserved.append(holder)
        else:
            holder.close()
        return port
    raise AssertionError("no port is free")
