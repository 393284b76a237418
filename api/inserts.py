"""Transactions on their way into the table: those that arrive together are stored by one statement.

One transaction costs one round trip, one wait for the disk, and PL/pgSQL's preparing of the model once, however many
rows it holds. The statement waits for nobody's lock: rows whose user is busy elsewhere come back, and each of them is
stored by itself on a connection of its own, where nobody else waits with it. Why that is safe:
docs/adr/0012-inserts-together.md.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from api.batcher import Batcher
from api.rows import Row, document
from rowguard.queries import load_queries

QUERIES = load_queries("api")
DEADLOCK_TRIES = 5
# What a statement with several rows may take before its rows are tried one by one.
TOGETHER_S = 2.0
# Connection lost; the server stops or crashed: whether the rows are stored is unknown.
UNKNOWN_OUTCOME = ("08", "57P")
NOT_ASKED = "the database stored other rows than it was given"
CONTENT = ("amount", "merchant_id", "location")


class Inserts:
    """Stores transactions over a pool, at most `max_rows` in one statement; every statement is its own transaction.

    With 1 each goes by itself: several users in one transaction are not for a distributed database.
    """

    def __init__(self, pool: AsyncConnectionPool, max_rows: int) -> None:
        self._pool = pool
        self._together: Batcher[Row, Row | None] | None = None
        if max_rows > 1:
            self._together = Batcher(self._insert_free, subject=_user, max_questions=max_rows)

    async def insert(self, transaction: Row) -> tuple[Row, bool]:
        """Insert, or find the row that the key gave before; the flag says whether it is new."""
        if self._together is not None:
            row = await self._together(transaction)
            if row is not None:
                return row, True
            if transaction["idempotency_key"] is not None:
                rows = await self._all("select_by_key", transaction)
                if rows:
                    return rows[0], False
        return await self._insert_alone(transaction)

    async def landed(self) -> None:
        """Returns when no statement is under way any more."""
        if self._together is not None:
            await self._together.landed()

    async def _insert_alone(self, transaction: Row) -> tuple[Row, bool]:
        """Waits for the user's lock, and tries again after a deadlock."""
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
            return (await self._all("select_by_key", transaction))[0], False
        raise AssertionError("unreachable")

    async def _insert_free(self, transactions: Sequence[Row]) -> list[Row | None]:
        """The stored rows in the order of the transactions; None for those that must be seen to one by one."""
        if len(transactions) == 1:
            query, values = "insert_if_free", transactions[0]
        else:
            users = {one["user_id"] for one in transactions}
            query = "insert_of_each_user" if len(users) == len(transactions) else "insert_transactions"
            values = document(transactions)
        try:
            stored = await self._all(query, values, bound_s=TOGETHER_S)
        except psycopg.DatabaseError as error:
            # The statement is rolled back, because of one of its rows or of the company that they are in.
            if error.sqlstate is None or error.sqlstate.startswith(UNKNOWN_OUTCOME):
                raise
            return [None] * len(transactions)
        return assign(transactions, stored)

    async def _all(self, query: str, values: Row, bound_s: float | None = None) -> list[Row]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            text = QUERIES[query]
            if bound_s is None:
                await cursor.execute(text, values)
            else:
                await _execute_bounded(connection, cursor, text, values, bound_s)
            return await cursor.fetchall()


async def _execute_bounded(
    connection: psycopg.AsyncConnection[Any],
    cursor: psycopg.AsyncCursor[Any],
    text: LiteralString,
    values: Row,
    seconds: float,
) -> None:
    """Has the server cancel the statement after that time. Whether it did, its answer says: nothing is guessed."""
    cancelling: list[asyncio.Task[None]] = []

    def cancel() -> None:
        cancelling.append(asyncio.create_task(connection.cancel_safe(timeout=seconds)))

    timer = asyncio.get_running_loop().call_later(seconds, cancel)
    try:
        await cursor.execute(text, values)
    finally:
        timer.cancel()
        # Before the connection serves somebody else, whom a late request to cancel would hit.
        await asyncio.gather(*cancelling, return_exceptions=True)


def assign(transactions: Sequence[Row], stored: Sequence[Row]) -> list[Row | None]:
    """Which stored row belongs to which transaction.

    With a key it is the user's row of that key. Without one, of a user either all rows are stored or none, and a row
    belongs to a transaction that it says the same as; transactions that say the same are as good as each other. What
    is left then was changed by a trigger that is not ours, and comes back in the order in which it was sent.

    Raises:
        RuntimeError: rows came back that nobody asked for, or not all that must.
    """
    answers: list[Row | None] = [None] * len(transactions)
    of_user = {one["user_id"]: place for place, one in enumerate(transactions)}
    if len(of_user) == len(transactions):  # nearly always: then the user alone says it
        for row in stored:
            place = of_user.pop(row["user_id"], None)
            if place is None or row["idempotency_key"] != transactions[place]["idempotency_key"]:
                raise RuntimeError(NOT_ASKED)
            answers[place] = row
        return answers
    asked: dict[tuple[int, str | None], list[int]] = defaultdict(list)
    for place, one in enumerate(transactions):
        asked[one["user_id"], one["idempotency_key"]].append(place)
    came: dict[tuple[int, str | None], list[Row]] = defaultdict(list)
    for row in stored:
        came[row["user_id"], row["idempotency_key"]].append(row)
    for name, rows in came.items():
        open_places = asked[name]
        if len(rows) != (len(open_places) if name[1] is None else 1) or not open_places:
            raise RuntimeError(NOT_ASKED)
        # Those that name their instant first, as one that does not says the same as any.
        open_places = sorted(open_places, key=lambda place: transactions[place]["occurred_at"] is None)
        left = [row for row in rows if not _claim(row, open_places, transactions, answers)]
        for place, row in zip(sorted(open_places), left, strict=False):
            answers[place] = row
    return answers


def _claim(row: Row, places: list[int], transactions: Sequence[Row], answers: list[Row | None]) -> bool:
    for place in places:
        if _say_the_same(row, transactions[place]):
            answers[place] = row
            places.remove(place)
            return True
    return False


def _say_the_same(row: Row, transaction: Row) -> bool:
    return all(row[name] == transaction[name] for name in CONTENT) and transaction["occurred_at"] in (
        None,
        row["occurred_at"],
    )


def _user(transaction: Row) -> int:
    return int(transaction["user_id"])
