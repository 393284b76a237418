"""The API's queries, one method each; nothing else in the API speaks SQL."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from api.problems import ApiProblem
from rowguard.sql_files import read_sql

SQL = Path(__file__).parent / "sql"
DEADLOCK_TRIES = 5

Row = dict[str, Any]


class Repository:
    """Queries over a pool; every statement is its own transaction."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def score_features(self, features: Row) -> Row:
        """One `fraud_score` from four features."""
        return await self._one("score_features", features)

    async def score_transaction(self, transaction: Row) -> Row:
        """One `fraud_score` from a raw transaction."""
        return await self._one("score_transaction", transaction)

    async def insert_transaction(self, transaction: Row) -> tuple[Row, bool]:
        """Insert, or find the row that the key gave before; the flag says whether it is new."""
        for attempt in range(1, DEADLOCK_TRIES + 1):
            try:
                rows = await self._all("insert_transaction", transaction)
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                if attempt == DEADLOCK_TRIES:
                    raise
                await asyncio.sleep(0.01 * attempt)
                continue
            if rows:
                return rows[0], True
            return await self._one("select_by_key", transaction), False
        raise AssertionError("unreachable")

    async def insert_label(self, label: Row) -> Row:
        """Store a finding.

        Raises:
            ApiProblem: 404, there is no such transaction.
        """
        try:
            return await self._one("insert_label", label)
        except psycopg.errors.ForeignKeyViolation:
            raise ApiProblem(
                404, f"user {label['user_id']} has no transaction {label['transaction_id']}"
            ) from None

    async def champion(self) -> Row | None:
        """The deployed model, if there is one."""
        rows = await self._all("select_champion", {})
        return rows[0] if rows else None

    async def count_unscored(self) -> int:
        """Live transactions without a decision, up to 100,000."""
        return int((await self._one("count_unscored", {}))["unscored"])

    async def readiness(self) -> Row:
        """Flags `has_schema` and `takes_writes`."""
        return await self._one("is_ready", {})

    async def _one(self, query: str, values: Row) -> Row:
        return (await self._all(query, values))[0]

    async def _all(self, query: str, values: Row) -> list[Row]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(read_sql(SQL, query).encode(), values)
            return await cursor.fetchall()
