"""Stores transactions: those that arrive at the same time with one statement.

One statement costs one round trip, one wait for the disk, and one preparation of the model, for any number of rows.
It waits for no user lock: a row whose user is busy is not returned, and is then stored individually. Why that is
safe: docs/adr/0012-micro-batched-inserts.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import psycopg
from psycopg_pool import AsyncConnectionPool

from api.errors import IdempotencyKeyConflictError
from api.micro_batcher import MicroBatcher
from api.statements import Row, fetch_rows, rows_parameter
from rowguard.declaration import declared

DEADLOCK_TRIES = 5
# Longest statement of a batch; its rows are then stored individually.
BATCH_TIMEOUT_S = 2.0
# Connection lost, server stopping or crashed: whether the rows are stored is unknown.
UNKNOWN_OUTCOME = ("08", "57P")


class TransactionWriter:
    """Stores transactions over a pool.

    Args:
        pool: Connections in autocommit mode: every statement is its own transaction.
        max_batch_size: Rows per statement.
    """

    def __init__(self, pool: AsyncConnectionPool, max_batch_size: int) -> None:
        self._pool = pool
        self._batcher: MicroBatcher[Row, Row | None] = MicroBatcher(
            self._insert_batch, partition_key=lambda row: row["user_id"], max_batch_size=max_batch_size
        )

    async def insert(self, transaction: Row) -> Row:
        """Store a transaction, or find the one that its idempotency key stored before.

        Args:
            transaction: The columns that a transaction brings, and `idempotency_key`.

        Returns:
            The stored columns, and `is_replayed`.

        Raises:
            IdempotencyKeyConflictError: The key was used for another transaction of the user.
            psycopg.Error: The database rejects the row, or cannot be reached.
        """
        row = await self._batcher(transaction)
        if row is None:
            row = await self._insert_one(transaction)
        if row["is_replayed"] and not _has_same_content(row, transaction):
            raise IdempotencyKeyConflictError
        return row

    async def drain(self) -> None:
        """Return when no batch is in flight."""
        await self._batcher.drain()

    async def _insert_batch(self, transactions: Sequence[Row]) -> list[Row | None]:
        """Return stored rows in the order of the transactions; None for those to store individually."""
        results: list[Row | None] = [None] * len(transactions)
        try:
            rows = rows_parameter(transactions)
            for row in await fetch_rows(self._pool, "insert_unlocked_users", rows, timeout_s=BATCH_TIMEOUT_S):
                results[row.pop("ordinal")] = row
        except psycopg.DatabaseError as error:
            # Everything is rolled back, because of one row or of the batch as a whole.
            if error.sqlstate is None or error.sqlstate.startswith(UNKNOWN_OUTCOME):
                raise
        return results

    async def _insert_one(self, transaction: Row) -> Row:
        """Wait for the user lock, and retry after a deadlock."""
        for attempt in range(1, DEADLOCK_TRIES + 1):
            try:
                return (await fetch_rows(self._pool, "insert_waiting", rows_parameter([transaction])))[0]
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                if attempt == DEADLOCK_TRIES:
                    raise
                await asyncio.sleep(0.01 * attempt)
        raise AssertionError("unreachable")


def _has_same_content(row: Row, transaction: Row) -> bool:
    """Whether a replayed row is the same transaction; its time counts only where the request names one."""
    return all(
        row[name] == transaction[name] for name in ("amount", "external_id", *declared().columns)
    ) and transaction["occurred_at"] in (
        None,
        row["occurred_at"],
    )
