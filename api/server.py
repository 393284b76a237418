"""Serving the application with uvicorn."""

from __future__ import annotations

import ipaddress
import os
import socket
import tempfile
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from api.app import ApiConfig, create_app
from api.logs import log_config
from api.tokens import Authenticator
from api.wire import Protocol
from rowguard.errors import LocalStackError, SettingsError
from rowguard.settings import Settings

SHUTDOWN_S = 10
BACKLOG = 2_048


@dataclass(frozen=True)
class AppFactory:
    """Makes the application in each worker; sent there through a pipe, never in arguments that others can list."""

    config: ApiConfig

    def __call__(self) -> ASGIApp:
        return create_app(self.config)


def serve(settings: Settings, config: ApiConfig, *, host: str | None = None, port: int | None = None) -> None:
    """Serve in the foreground until a signal comes; requests under way are answered first.

    Raises:
        LocalStackError: the address cannot be listened on.
        SettingsError: the address can be reached from elsewhere and no authentication is configured, or a key,
            certificate or limit is of no use.
    """
    address = (host or settings.api_host, port or settings.api_port)
    require_authentication_beyond_loopback(settings, address[0])
    tls = _tls_options(settings)
    create_app(config)  # what is wrong with the settings shows here and not in a worker's log
    _require_free(address)
    options: dict[str, Any] = {
        "host": address[0],
        "port": address[1],
        "loop": "uvloop",
        "http": Protocol,
        "access_log": False,
        "log_config": log_config(),
        "timeout_graceful_shutdown": SHUTDOWN_S,
        "server_header": False,
        "backlog": BACKLOG,
        "ws": "none",
        "proxy_headers": settings.api_trusted_proxies is not None,
        "forwarded_allow_ips": settings.api_trusted_proxies or "",
        **tls,
    }
    if settings.api_workers == 1:
        uvicorn.run(AppFactory(config), factory=True, **options)
        return
    with tempfile.TemporaryDirectory(prefix="rowguard-metrics-") as folder:
        # Where workers share their counters; read by prometheus_client when a worker imports it.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        # What uvicorn.run() does, which insists on the application's name where a factory does as well.
        chosen = uvicorn.Config(AppFactory(config), factory=True, workers=settings.api_workers, **options)
        Multiprocess(chosen, sockets=[chosen.bind_socket()]).run()


def require_authentication_beyond_loopback(settings: Settings, host: str) -> None:
    """Without keys to check tokens with, only this machine may call.

    Raises:
        SettingsError: the address can be reached from elsewhere.
    """
    if Authenticator(settings).is_configured or is_loopback(host):
        return
    raise SettingsError(
        f"refusing to listen on {host} without authentication: set ROWGUARD_JWT_JWKS_FILE or "
        "ROWGUARD_JWT_SECRET, or listen on 127.0.0.1"
    )


def is_loopback(host: str) -> bool:
    """Whether every address that the name stands for is this machine's own."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(one[4][0]).partition("%")[0]).is_loopback for one in found)


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
