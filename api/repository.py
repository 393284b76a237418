"""The API's queries, one method each; nothing else in the API speaks SQL."""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row, tuple_row
from psycopg_pool import AsyncConnectionPool

from api.batcher import Batcher
from api.inserts import Inserts
from api.problems import ApiProblem
from api.rows import Row, document
from rowguard.queries import load_queries

QUERIES = load_queries("api")


class Score(NamedTuple):
    """A `fraud_score`."""

    prediction: int
    probability: float
    flag: str
    fraud_probability: float
    model_version: str


class Repository:
    """Queries over a pool; every statement is its own transaction.

    Scores of several callers are asked for in one statement; they read and lock nothing. Inserts of several callers
    are stored in one where nobody has to wait for another's user.
    """

    def __init__(self, pool: AsyncConnectionPool, *, insert_batch: int = 1) -> None:
        self._pool = pool
        self._inserts = Inserts(pool, insert_batch)
        values = (psycopg.DataError, psycopg.IntegrityError)
        self._features: Batcher[Row, Score] = Batcher(self.score_features_batch, is_of_one=values)
        self._transactions: Batcher[Row, Score] = Batcher(self.score_transactions_batch, is_of_one=values)

    async def score_features(self, features: Row) -> Score:
        """The score of four features."""
        return await self._features(features)

    async def score_transaction(self, transaction: Row) -> Score:
        """The score of a raw transaction."""
        return await self._transactions(transaction)

    async def score_features_batch(self, rows: Sequence[Row]) -> list[Score]:
        """Scores in the order of the rows."""
        return await self._scores("score_features", rows)

    async def score_transactions_batch(self, rows: Sequence[Row]) -> list[Score]:
        """Scores in the order of the rows."""
        return await self._scores("score_transactions", rows)

    async def insert_transaction(self, transaction: Row) -> tuple[Row, bool]:
        """Insert, or find the row that the key gave before; the flag says whether it is new."""
        return await self._inserts.insert(transaction)

    async def landed(self) -> None:
        """Returns when no statement for several callers is under way any more."""
        for batcher in (self._features, self._transactions, self._inserts):
            await batcher.landed()

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

    async def _scores(self, query: str, rows: Sequence[Row]) -> list[Score]:
        if not rows:
            return []
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row, binary=True) as cursor,
        ):
            await cursor.execute(QUERIES[query], document(rows))
            return [Score(*row) for row in await cursor.fetchall()]

    async def _one(self, query: str, values: Row) -> Row:
        return (await self._all(query, values))[0]

    async def _all(self, query: str, values: Row) -> list[Row]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(QUERIES[query], values)
            return await cursor.fetchall()


async def require_silent(connection: psycopg.AsyncConnection[Any]) -> None:
    """The pool's check of a connection before it is used, without asking the server.

    An idle server says nothing; when there is something to read, it has said good-bye or gone.

    Raises:
        psycopg.OperationalError: the connection is of no use any more.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    if poll.poll(0):
        await connection.close()  # the pool would take it back: libpq itself has not noticed yet
        raise psycopg.OperationalError("the server has ended the connection")
