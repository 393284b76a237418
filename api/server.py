"""Serving the application with uvicorn."""

from __future__ import annotations

import socket

import uvicorn

from api.app import ApiConfig, create_app
from rowguard.errors import LocalStackError
from rowguard.settings import Settings

SHUTDOWN_S = 10


def serve(settings: Settings, config: ApiConfig, *, host: str | None = None, port: int | None = None) -> None:
    """Serve in the foreground until a signal comes; requests under way are answered first.

    Raises:
        LocalStackError: the address cannot be listened on.
    """
    address = (host or settings.api_host, port or settings.api_port)
    _require_free(address)
    uvicorn.run(
        create_app(config),
        host=address[0],
        port=address[1],
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_S,
        server_header=False,
    )


def _require_free(address: tuple[str, int]) -> None:
    try:
        family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise LocalStackError(
            f"cannot listen on {address[0]}:{address[1]}: {error.strerror or error}; "
            "choose another with --port or ROWGUARD_API_PORT"
        ) from None
