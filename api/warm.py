"""Warm-up: no request is the first call of a model's function in its connection.

A new connection runs the champion once before it is used. After a deployment a watcher warms the pooled connections
again. Behind PgBouncer neither is needed: PgBouncer warms its connections and replaces them after a deployment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from rowguard.queries import load_queries

QUERIES = load_queries("api")


async def warm(connection: psycopg.AsyncConnection) -> str | None:
    """Run the champion once.

    Returns:
        Its version; None without a champion or without the schema.
    """
    try:
        cursor = await connection.execute(QUERIES["warm_scoring"])
        row = await cursor.fetchone()
    except (psycopg.errors.UndefinedFunction, psycopg.errors.InsufficientPrivilege):
        return None
    return str(row[0]) if row and row[0] is not None else None


async def configure(connection: psycopg.AsyncConnection) -> None:
    """Warm a new connection of the pool."""
    await warm(connection)


@asynccontextmanager
async def keep_warm(pool: AsyncConnectionPool, *, interval_s: float = 5.0) -> AsyncIterator[None]:
    """While the block lasts, warm every connection of the pool after a deployment."""
    task = asyncio.create_task(_watch(pool, interval_s))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _watch(pool: AsyncConnectionPool, interval_s: float) -> None:
    known: str | None = None
    while True:
        await asyncio.sleep(interval_s)
        # A pool that is busy or disconnected is checked again next time.
        with suppress(psycopg.Error, PoolTimeout, PoolClosed, TooManyRequests):
            async with pool.connection() as connection:
                current = await warm(connection)
            if current != known:
                # The pool rotates idle connections, so this reaches each of them once.
                for _ in range(pool.get_stats()["pool_size"]):
                    async with pool.connection() as connection:
                        await warm(connection)
                known = current
