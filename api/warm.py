"""Warm connections: no request pays for PostgreSQL's reading and planning of a model's function.

A new connection runs the champion once before it is given out. After a deploy a connection's next call would be a
first call again, so a watcher looks for a new champion and goes round the pool. Behind PgBouncer neither is needed:
PgBouncer warms its own connections and replaces them after a deploy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from rowguard.queries import load_queries

QUERIES = load_queries("api")
WATCH_EVERY_S = 5.0


async def warm(connection: psycopg.AsyncConnection) -> str | None:
    """Run the champion once; its version, None when there is none or the schema is not there yet."""
    try:
        cursor = await connection.execute(QUERIES["warm_scoring"])
        row = await cursor.fetchone()
    except (psycopg.errors.UndefinedFunction, psycopg.errors.InsufficientPrivilege):
        return None
    return str(row[0]) if row and row[0] is not None else None


async def configure(connection: psycopg.AsyncConnection) -> None:
    """What the pool does with a new connection."""
    await warm(connection)


@asynccontextmanager
async def kept_warm(pool: AsyncConnectionPool, *, every_s: float = WATCH_EVERY_S) -> AsyncIterator[None]:
    """While the block lasts, a new champion is made known to every connection of the pool."""
    task = asyncio.create_task(_watch(pool, every_s))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _watch(pool: AsyncConnectionPool, every_s: float) -> None:
    known: str | None = None
    while True:
        await asyncio.sleep(every_s)
        # A pool that is busy or cut off has other things to do; the next turn will see.
        with suppress(psycopg.Error, PoolTimeout, PoolClosed, TooManyRequests):
            async with pool.connection() as connection:
                present = await warm(connection)
            if present != known:
                # Connections are given out in turn: so many calls go once round those that are idle.
                for _ in range(pool.get_stats()["pool_size"]):
                    async with pool.connection() as connection:
                        await warm(connection)
                known = present
