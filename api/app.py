"""The application: connection pool, routes, errors, middleware."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool

from api import problems, warm
from api.access import BEARER, AccessPolicy, scopes_by_path
from api.metrics import Metrics
from api.middleware import RequestMiddleware
from api.repository import Repository, check_connection
from api.routes import bodies, labels, scoring, service, transactions
from api.tokens import SCOPES, Authenticator
from rowguard import __version__
from rowguard.settings import Settings

# A batch of inserts ends within 2 s.
DRAIN_TIMEOUT_S = 3.0
# Of the connection pool. More waiting requests are rejected with 503; after the reconnect timeout the pool gives up,
# and the next request starts the attempts again.
MIN_CONNECTIONS, MAX_WAITING, CONNECTION_TIMEOUT_S, RECONNECT_TIMEOUT_S = 2, 200, 3.0, 5.0


@dataclass(frozen=True)
class ApiConfig:
    """Configuration of the application.

    Attributes:
        database_url: Through PgBouncer where there is one.
        is_pooled: It is a PgBouncer in transaction pooling, so statements are not prepared.
        settings: Limits, keys and the rest.
    """

    database_url: str = field(repr=False)
    is_pooled: bool
    settings: Settings


def create_app(config: ApiConfig) -> FastAPI:
    """Build the FastAPI application; its connections open when it starts, and need not succeed then.

    Args:
        config: Database, limits and keys.

    Returns:
        The application.

    Raises:
        SettingsError: A key or a limit is invalid.
    """
    settings = config.settings
    authenticator = Authenticator(settings)
    metrics = Metrics()
    pool = _pool(config)
    repository = Repository(pool, max_insert_batch=settings.api_max_insert_batch)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await pool.open()
        async with nullcontext() if config.is_pooled else warm.keep_warm(pool):
            yield
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                await repository.drain()
        await pool.close()

    app = FastAPI(
        title="rowguard",
        summary="Fraud scores from inside PostgreSQL",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.repository, app.state.metrics = repository, metrics
    for routes in (transactions, scoring, labels, service):  # matched in this order
        app.include_router(routes.router)
    problems.register(app)
    policy = AccessPolicy(
        scopes_by_path(app.routes),
        authenticator if authenticator.is_configured else None,
        settings.api_rate_limit,
    )
    app.add_middleware(RequestMiddleware, policy=policy, metrics=metrics, settings=settings)
    _extend_openapi(app)
    return app


def _pool(config: ApiConfig) -> AsyncConnectionPool:
    max_size = config.settings.api_pool_size
    return AsyncConnectionPool(
        config.database_url,
        open=False,
        min_size=min(MIN_CONNECTIONS, max_size),
        max_size=max_size,
        max_waiting=MAX_WAITING,
        timeout=CONNECTION_TIMEOUT_S,
        reconnect_timeout=RECONNECT_TIMEOUT_S,
        check=check_connection,
        configure=None if config.is_pooled else warm.configure,
        kwargs={"autocommit": True, **({"prepare_threshold": None} if config.is_pooled else {})},
    )


def _extend_openapi(app: FastAPI) -> None:
    """Add the security scheme that the routes name, and the bodies that they read themselves."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        components = document.setdefault("components", {})
        components.setdefault("schemas", {}).update(bodies.SCHEMAS)
        components["securitySchemes"] = {
            BEARER: {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": f"Scopes: {', '.join(SCOPES)}. Not required on an open loopback.",
            }
        }
        return document

    app.openapi = openapi  # type: ignore[method-assign]
