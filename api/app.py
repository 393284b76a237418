"""The application: connection pool, routes, errors, middleware."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from psycopg_pool import AsyncConnectionPool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api import problems, warm
from api.access import BEARER, AccessPolicy, scopes_by_path
from api.console.app import create_console
from api.metrics import Metrics
from api.middleware import RequestMiddleware
from api.outcomes import Outcomes
from api.repository import Repository, check_connection
from api.routes import bodies, labels, lists, reviews, rules, scoring, service, transactions
from api.tokens import SCOPES, Authenticator
from rowguard import __version__
from rowguard.settings import Settings

# A batch of inserts ends within 2 s.
DRAIN_TIMEOUT_S = 3.0
# Of the connection pool. More waiting requests are rejected with 503; after the reconnect timeout the pool gives up,
# and the next request starts the attempts again.
MIN_CONNECTIONS, MAX_WAITING, CONNECTION_TIMEOUT_S, RECONNECT_TIMEOUT_S = 2, 200, 3.0, 5.0


def create_app(settings: Settings) -> FastAPI:
    """Build the FastAPI application; its connections open when it starts, and need not succeed then.

    Args:
        settings: Database, limits and keys. `pooled_url`, a PgBouncer in transaction pooling, comes first.

    Returns:
        The application.

    Raises:
        SettingsError: A key or a limit is invalid.
    """
    authenticator = Authenticator(settings)
    metrics = Metrics()
    pool = _pool(settings)
    repository = Repository(pool, max_insert_batch=settings.api_max_insert_batch)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, int]]:
        await pool.open()
        async with nullcontext() if settings.pooled_url else warm.keep_warm(pool):
            yield {"max_connections_per_address": settings.api_max_connections_per_address}
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                await repository.drain()
        await pool.close()

    app = FastAPIOffline(  # /docs works on a closed network
        title="rowguard",
        summary="Fraud scores from inside PostgreSQL",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        redoc_url=None,
    )
    app.state.repository, app.state.metrics, app.state.settings = repository, metrics, settings
    app.state.outcomes = Outcomes(pool, settings)
    for routes in (transactions, scoring, labels, rules, lists, reviews, service):  # matched in this order
        app.include_router(routes.router)
    problems.register(app)
    app.add_route("/console", _lead_to_console)
    app.mount("/console", create_console(settings, pool, repository, app.state.outcomes, metrics))
    policy = AccessPolicy(
        scopes_by_path(app.routes),
        authenticator if authenticator.is_configured else None,
        settings.api_rate_limit,
    )
    app.add_middleware(RequestMiddleware, policy=policy, metrics=metrics, settings=settings)
    _extend_openapi(app)
    return app


async def _lead_to_console(request: Request) -> Response:
    return RedirectResponse("/console/", 307)


def _pool(settings: Settings) -> AsyncConnectionPool:
    # PgBouncer warms its connections, and a prepared statement may be in another of them.
    is_pooled = settings.pooled_url is not None
    url = settings.pooled_url or settings.database_url
    assert url is not None
    return AsyncConnectionPool(
        url.get_secret_value(),
        open=False,
        min_size=min(MIN_CONNECTIONS, settings.api_pool_size),
        max_size=settings.api_pool_size,
        max_waiting=MAX_WAITING,
        timeout=CONNECTION_TIMEOUT_S,
        reconnect_timeout=RECONNECT_TIMEOUT_S,
        check=check_connection,
        configure=None if is_pooled else warm.warm,
        kwargs={"autocommit": True, **({"prepare_threshold": None} if is_pooled else {})},
    )


def _extend_openapi(app: FastAPI) -> None:
    """Add the security scheme that the routes name, and the bodies that they read themselves."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        components = document.setdefault("components", {})
        components.setdefault("schemas", {}).update(bodies.component_schemas())
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
