"""Serving the application with uvicorn."""

from __future__ import annotations

import ipaddress
import os
import socket
import tempfile
from typing import Any

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.logs import log_config
from api.protocol import BoundedProtocol
from api.tokens import Authenticator
from rowguard.errors import LocalStackError, SettingsError
from rowguard.settings import Settings

SHUTDOWN_S = 10
BACKLOG = 2_048


def create_worker_app() -> FastAPI:
    """Build the application of a worker from its environment; `serve` sets the addresses of the database."""
    return create_app(Settings())


def serve(settings: Settings, *, host: str | None = None, port: int | None = None) -> None:
    """Serve in the foreground until a signal comes; requests in flight are finished first.

    Args:
        settings: Address, TLS, number of workers, database, limits and keys.
        host: Address to listen on, instead of the configured one.
        port: Port to listen on, instead of the configured one.

    Raises:
        LocalStackError: The address cannot be listened on.
        SettingsError: The address is reachable from elsewhere without authentication, or a key, certificate or limit
            is invalid.
    """
    address = (host or settings.api_host, port or settings.api_port)
    require_authentication_beyond_loopback(settings, address[0])
    tls = _tls_options(settings)
    _require_free(address)
    create_app(settings)  # invalid settings are one line here, and not a traceback in the log of a worker
    # Workers inherit the environment; arguments of a process would be visible to other users of the machine.
    urls = {
        "DATABASE_URL": settings.database_url,
        "POOLED_DATABASE_URL": settings.pooled_url,
        "ROWGUARD_PUBLISH_DATABASE_URL": settings.publish_database_url,
    }
    os.environ |= {name: url.get_secret_value() for name, url in urls.items() if url is not None}
    with tempfile.TemporaryDirectory(prefix="rowguard-metrics-") as folder:
        if settings.api_workers > 1:
            # Workers share their counters in this folder; prometheus_client reads the variable when it is imported.
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        uvicorn.run(
            "api.server:create_worker_app",
            factory=True,
            workers=settings.api_workers,
            host=address[0],
            port=address[1],
            loop="uvloop",
            http=BoundedProtocol,
            ws="none",
            access_log=False,
            log_config=log_config(),
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=SHUTDOWN_S,
            proxy_headers=settings.api_trusted_proxies is not None,
            forwarded_allow_ips=settings.api_trusted_proxies or "",
            **tls,
        )


def require_authentication_beyond_loopback(settings: Settings, host: str) -> None:
    """Require a key to check tokens with, unless only this machine can call.

    Raises:
        SettingsError: The address is reachable from elsewhere.
    """
    if Authenticator(settings).is_configured or is_loopback(host):
        return
    raise SettingsError(
        f"will not listen on {host} without authentication: set ROWGUARD_JWT_JWKS_FILE or "
        "ROWGUARD_JWT_SECRET, or listen on 127.0.0.1"
    )


def is_loopback(host: str) -> bool:
    """Return whether every address of the host is a loopback address."""
    try:
        addresses = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in addresses)


def _tls_options(settings: Settings) -> dict[str, Any]:
    certificate, key = settings.api_tls_cert_file, settings.api_tls_key_file
    if certificate is None and key is None:
        return {}
    if certificate is None or key is None:
        raise SettingsError("ROWGUARD_API_TLS_CERT_FILE and ROWGUARD_API_TLS_KEY_FILE belong together")
    for path in (certificate, key):
        if not os.access(path, os.R_OK):
            raise SettingsError(f"the TLS file {path} cannot be read")
    password = settings.api_tls_key_password
    return {
        "ssl_certfile": str(certificate),
        "ssl_keyfile": str(key),
        "ssl_keyfile_password": password.get_secret_value() if password else None,
    }


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
