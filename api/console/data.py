"""Statements of the console, from its `queries.sql`; each is one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from api.errors import translated_errors
from rowguard.declaration import declared
from rowguard.queries import load_queries
from rowguard.slots import fill_slots

Row = dict[str, Any]


@cache
def queries() -> Mapping[str, str]:
    """Return the named statements, for the columns that this database declares."""
    declaration = declared()
    return {name: fill_slots(text, declaration) for name, text in load_queries("api.console").items()}


class Data:
    """Reads and changes for the pages.

    Args:
        pool: Connections in autocommit mode.
    """

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def rows(self, query: str, **values: Any) -> list[Row]:
        """Run a statement.

        Args:
            query: Its name in `queries.sql`.
            values: Its parameters.

        Raises:
            RowguardError: One of `api.errors`.
        """
        return await self.run(sql.SQL(as_literal(queries()[query])), values)

    async def row(self, query: str, **values: Any) -> Row | None:
        """Run a statement that has at most one row; arguments and errors as of `rows`."""
        rows = await self.rows(query, **values)
        return rows[0] if rows else None

    async def panel(self, query: str, **values: Any) -> list[Row] | None:
        """Run a statement about the monitoring views; None where they are not built or another version's."""
        try:
            async with (
                self._pool.connection() as connection,
                connection.cursor(row_factory=dict_row) as cursor,
            ):
                await cursor.execute(sql.SQL(as_literal(queries()[query])), values)
                return await cursor.fetchall()
        except (
            psycopg.errors.UndefinedTable,
            psycopg.errors.UndefinedColumn,
            psycopg.errors.InvalidSchemaName,
            psycopg.errors.InsufficientPrivilege,
        ):
            return None

    async def run(self, statement: sql.SQL | sql.Composed, values: Row) -> list[Row]:
        """Run a composed statement.

        Args:
            statement: With named parameters.
            values: The parameters.

        Raises:
            RowguardError: One of `api.errors`.
        """
        with translated_errors():
            async with (
                self._pool.connection() as connection,
                connection.cursor(row_factory=dict_row) as cursor,
            ):
                await cursor.execute(statement, values)
                return await cursor.fetchall()


def as_literal(text: str) -> LiteralString:
    """Return a text that ships with the program, which is what psycopg means by a literal string."""
    return text
