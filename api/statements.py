"""Running the statements of `queries.sql` over the pool; it knows no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from pydantic_core import to_json

from rowguard.declaration import declared
from rowguard.queries import load_queries
from rowguard.slots import fill_slots

Row = dict[str, Any]


@cache
def queries() -> Mapping[str, str]:
    """Return the named statements, for the columns that this database declares."""
    declaration = declared()
    return {name: fill_slots(text, declaration) for name, text in load_queries("api").items()}


def rows_parameter(rows: Sequence[Row]) -> Row:
    """Return the parameter `rows` of a statement: one JSON document is cheaper than an array for each column.

    Decimals and times are text, as PostgreSQL reads them, so numbers keep all their digits.
    """
    return {"rows": to_json(rows).decode()}


async def fetch_rows(
    pool: AsyncConnectionPool, query: str, values: Row | None = None, *, timeout_s: float | None = None
) -> list[Row]:
    """Run a statement as its own transaction.

    Args:
        pool: Connections in autocommit mode.
        query: Its name in `queries.sql`.
        values: Its parameters.
        timeout_s: The server is then asked to cancel it, and its response is awaited: it may have committed.

    Returns:
        Its rows.

    Raises:
        psycopg.Error: The statement failed, or no connection is free.
    """
    async with (
        pool.connection() as connection,
        connection.cursor(binary=True, row_factory=dict_row) as cursor,
    ):
        cancellations: list[asyncio.Task[None]] = []

        def cancel() -> None:
            cancellations.append(asyncio.create_task(connection.cancel_safe(timeout=timeout_s or 0)))

        timer = asyncio.get_running_loop().call_later(timeout_s, cancel) if timeout_s else None
        try:
            await cursor.execute(queries()[query], values)
            return await cursor.fetchall()
        finally:
            if timer is not None:
                timer.cancel()
            if cancellations:  # a late one would hit the next user of the connection
                await asyncio.wait(cancellations)
