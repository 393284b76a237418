"""The application: pool, endpoints, errors, and the layers around every request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool

from api import problems, warm
from api.access import BEARER, Access, scopes_by_path
from api.endpoints import labels, scoring, service
from api.gate import Gate
from api.guard import Guard, Record
from api.lean import Lean
from api.metrics import Metrics
from api.repository import Repository, require_silent
from api.schemas import BIGINT_MAX
from api.tokens import SCOPES, Authenticator
from rowguard import __version__
from rowguard.settings import Settings

# How long statements for several callers may still take at the end: those of inserts end within 2 s by themselves.
LANDING_S = 3.0
EXACT = {float(bound): bound for bound in (-BIGINT_MAX - 1, BIGINT_MAX)}


@dataclass(frozen=True)
class ApiConfig:
    """What the application needs to know.

    Attributes:
        database_url: through PgBouncer where there is one.
        is_pooled: it goes through PgBouncer in transaction pooling, where server-side prepared statements of
            one client would be looked for in another's connection.
        settings: limits, keys and the rest of what can be set.
        max_waiting: requests that may wait for a connection; more are turned away at once with 503.
    """

    database_url: str = field(repr=False)
    is_pooled: bool
    settings: Settings
    min_connections: int = 2
    max_waiting: int = 200
    connection_timeout_s: float = 3.0
    reconnect_timeout_s: float = 5.0


def create_app(config: ApiConfig) -> FastAPI:
    """The FastAPI application; connections open when it starts and need not succeed then.

    Raises:
        SettingsError: a key or a limit is of no use.
    """
    chosen = config.settings
    pool = AsyncConnectionPool(
        config.database_url,
        open=False,
        min_size=min(config.min_connections, chosen.api_pool_size),
        max_size=chosen.api_pool_size,
        max_waiting=config.max_waiting,
        timeout=config.connection_timeout_s,
        # Pauses between attempts double; giving up soon lets the next request begin anew after an outage.
        reconnect_timeout=config.reconnect_timeout_s,
        check=require_silent,
        configure=None if config.is_pooled else warm.configure,
        kwargs={"autocommit": True, **({"prepare_threshold": None} if config.is_pooled else {})},
    )

    repository = Repository(pool, insert_batch=chosen.api_max_insert_batch)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await pool.open()
        async with nullcontext() if config.is_pooled else warm.kept_warm(pool):
            yield
        with suppress(TimeoutError):
            async with asyncio.timeout(LANDING_S):
                await repository.landed()
        await pool.close()

    app = FastAPI(
        title="rowguard",
        summary="Fraud scores from inside PostgreSQL",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    metrics = Metrics()
    app.state.repository = repository
    app.state.metrics = metrics
    for endpoints in (service, scoring, labels):
        app.include_router(endpoints.router)
    problems.register(app)
    authenticator = Authenticator(chosen)
    access = Access(
        scopes_by_path(app.routes),
        authenticator if authenticator.is_configured else None,
        chosen.api_rate_limit,
    )
    # The last one added is the outermost.
    app.add_middleware(Lean, routes=app.routes, repository=repository, metrics=metrics)
    app.add_middleware(
        Guard,
        access=access,
        max_body_bytes=chosen.api_max_body_bytes,
        timeout_s=chosen.api_request_timeout_s,
    )
    app.add_middleware(Record, metrics=metrics, log_all=chosen.api_access_log == "all")
    app.add_middleware(Gate, metrics=metrics, max_requests=chosen.api_max_concurrent_requests)
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Adds the scheme that the routes' `security` names to the OpenAPI document, and makes its bounds exact."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document: dict[str, Any] = _with_exact_bounds(generate())
        document.setdefault("components", {})["securitySchemes"] = {
            BEARER: {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": f"Scopes: {', '.join(SCOPES)}. Not asked for on an open loopback.",
            }
        }
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _with_exact_bounds(part: Any) -> Any:
    """FastAPI keeps bounds as floating-point numbers, which round those of a bigint up, beyond it."""
    if isinstance(part, dict):
        return {
            name: EXACT.get(value, value)
            if name in ("minimum", "maximum") and isinstance(value, float)
            else _with_exact_bounds(value)
            for name, value in part.items()
        }
    if isinstance(part, list):
        return [_with_exact_bounds(one) for one in part]
    return part
