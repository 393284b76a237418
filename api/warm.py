"""Warm-up: no request is the first call of a model's function in its connection.

A new connection runs the champion once before it is used, and idle ones run it every few seconds, as a deployment may
have changed it. PgBouncer warms its connections itself, and replaces them after a deployment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from api.statements import queries


async def warm(connection: psycopg.AsyncConnection) -> None:
    """Run the champion once in a connection; without a champion or the schema nothing happens."""
    with suppress(psycopg.errors.UndefinedFunction, psycopg.errors.InsufficientPrivilege):
        await connection.execute(queries()["warm_scoring"])


@asynccontextmanager
async def keep_warm(pool: AsyncConnectionPool, *, interval_s: float = 5.0) -> AsyncIterator[None]:
    """While the block lasts, warm idle connections again and again: a deployment may change the champion.

    Args:
        pool: Pool of the worker.
        interval_s: Seconds between two rounds.
    """
    task = asyncio.create_task(_watch(pool, interval_s))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _watch(pool: AsyncConnectionPool, interval_s: float) -> None:
    while True:
        await asyncio.sleep(interval_s)
        # A pool that is busy or disconnected is served again next time.
        with suppress(psycopg.Error, PoolTimeout, PoolClosed, TooManyRequests):
            # The pool rotates idle connections, so this reaches each of them once.
            for _ in range(pool.get_stats()["pool_size"]):
                async with pool.connection() as connection:
                    await warm(connection)
