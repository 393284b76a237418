"""The application: pool, endpoints, errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass

from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool

from api import problems, warm
from api.endpoints import labels, scoring, service
from api.metrics import MeasureRequests, Metrics
from api.repository import Repository
from rowguard import __version__


@dataclass(frozen=True)
class ApiConfig:
    """What the application needs to know.

    Attributes:
        database_url: through PgBouncer where there is one.
        is_pooled: it goes through PgBouncer in transaction pooling, where server-side prepared statements of
            one client would be looked for in another's connection.
        max_waiting: requests that may wait for a connection; more are turned away at once with 503.
    """

    database_url: str
    is_pooled: bool
    min_connections: int = 2
    max_connections: int = 10
    max_waiting: int = 200
    connection_timeout_s: float = 3.0
    reconnect_timeout_s: float = 5.0


def create_app(config: ApiConfig) -> FastAPI:
    """The FastAPI application; connections open when it starts and need not succeed then."""
    pool = AsyncConnectionPool(
        config.database_url,
        open=False,
        min_size=config.min_connections,
        max_size=config.max_connections,
        max_waiting=config.max_waiting,
        timeout=config.connection_timeout_s,
        # Pauses between attempts double; giving up soon lets the next request begin anew after an outage.
        reconnect_timeout=config.reconnect_timeout_s,
        check=AsyncConnectionPool.check_connection,
        configure=None if config.is_pooled else warm.configure,
        kwargs={"autocommit": True, **({"prepare_threshold": None} if config.is_pooled else {})},
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await pool.open()
        async with nullcontext() if config.is_pooled else warm.kept_warm(pool):
            yield
        await pool.close()

    app = FastAPI(
        title="rowguard",
        summary="Fraud scores from inside PostgreSQL",
        version=__version__,
        lifespan=lifespan,
    )
    metrics = Metrics()
    app.state.repository = Repository(pool)
    app.state.metrics = metrics
    for endpoints in (service, scoring, labels):
        app.include_router(endpoints.router)
    problems.register(app)
    app.add_middleware(MeasureRequests, metrics=metrics)
    return app
