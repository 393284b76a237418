"""uvicorn's protocol, with the head and the body of an answer in one packet.

uvicorn writes the two by themselves, and each write is a call of the kernel that wakes the client: once for a head
that it can do nothing with.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD = b"HTTP/"


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(Together(transport, self.loop))  # type: ignore[arg-type]


class Together:
    """A transport that keeps a head back for what follows it in the same turn of the event loop, and no longer."""

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """At once, unless it is a head."""
        if self._head:
            self._transport.write(self._head + data)
            self._head = b""
        elif data.startswith(HEAD):
            self._head = data
            # Some answers have no body; this finds nothing to do after the others.
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """After what was written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head and not self._transport.is_closing():
            self._transport.write(self._head)
        self._head = b""
