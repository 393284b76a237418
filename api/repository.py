"""The API's statements, one method each. It knows no HTTP."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import psycopg
from psycopg_pool import AsyncConnectionPool

from api.errors import (
    InvalidValueError,
    NotExplainedError,
    NotFoundError,
    UnknownTransactionError,
    UnscoredTransactionError,
    translated_errors,
)
from api.micro_batcher import MicroBatcher
from api.statements import Row, fetch_rows, rows_parameter
from api.transaction_writer import TransactionWriter

READINESS_AGE_S = 1.0


class Repository:
    """Statements over a pool; each is its own transaction. Concurrent scores and inserts are micro-batched.

    `score_features` and `score_transaction` take a row and return its score; with `_batch`, lists of them.

    Every method raises the errors of `api.errors`.

    Args:
        pool: Connections in autocommit mode.
        max_insert_batch: Largest number of transactions that one statement stores.
    """

    def __init__(self, pool: AsyncConnectionPool, *, max_insert_batch: int = 1) -> None:
        self._pool = pool
        self._readiness: asyncio.Task[list[Row]] | None = None
        self._readiness_at = 0.0
        self._writer = TransactionWriter(pool, max_insert_batch)
        self.score_features_batch = partial(self._scores, "score_features")
        self.score_transactions_batch = partial(self._scores, "score_transactions")
        per_item = (InvalidValueError,)
        self.score_features = MicroBatcher(self.score_features_batch, per_item_errors=per_item)
        self.score_transaction = MicroBatcher(self.score_transactions_batch, per_item_errors=per_item)

    async def insert_transaction(self, transaction: Row) -> Row:
        """Store a transaction, or find the one that its idempotency key stored before (`is_replayed`).

        Raises:
            IdempotencyKeyConflictError: The key was used for another transaction of the user.
            ExternalIdConflictError: Another transaction of the user has this external_id.
        """
        with translated_errors():
            return await self._writer.insert(transaction)

    async def drain(self) -> None:
        """Return when no micro-batch is in flight."""
        for batcher in (self.score_features, self.score_transaction, self._writer):
            await batcher.drain()

    async def insert_label(self, label: Row) -> Row:
        """Store a label.

        Raises:
            UnknownTransactionError: The user has no such transaction.
        """
        with translated_errors():
            try:
                return (await fetch_rows(self._pool, "insert_label", label))[0]
            except psycopg.errors.ForeignKeyViolation:
                raise UnknownTransactionError(
                    f"user {label['user_id']} has no transaction {label['transaction_id']}"
                ) from None

    async def get_explanation(self, user_id: Any, transaction_id: int, top: int | None) -> Row:
        """Return the explanation of a stored decision.

        Raises:
            UnknownTransactionError: The user has no such transaction.
            UnscoredTransactionError: It has no decision; states why.
            NotExplainedError: Its model is not explained.
        """
        values = {"user_id": user_id, "transaction_id": transaction_id, "top": top}
        with translated_errors():
            try:
                row = (await fetch_rows(self._pool, "select_explanation", values))[0]
            except psycopg.errors.NoDataFound as error:
                raise UnknownTransactionError(error.diag.message_primary) from None
            except psycopg.errors.ObjectNotInPrerequisiteState as error:
                raise UnscoredTransactionError(error.diag.message_primary) from None
            except psycopg.errors.UndefinedObject as error:
                raise NotExplainedError(error.diag.message_primary) from None
        return cast(Row, row["explanation"])

    async def explain_score(self, query: str, values: Row) -> Row:
        """Score a row without storing it, with its explanation.

        Args:
            query: `explain_features` or `explain_transaction`.
            values: The row.

        Raises:
            NotExplainedError: The champion is not explained.
        """
        with translated_errors():
            try:
                return (await fetch_rows(self._pool, query, rows_parameter([values])))[0]
            except psycopg.errors.UndefinedObject as error:
                raise NotExplainedError(error.diag.message_primary) from None

    async def open_review_cases(self, due_hours: float) -> None:
        """Give each transaction that waits for review a case."""
        await self._rows("open_review_cases", {"due_hours": due_hours})

    async def list_review_cases(self, states: Sequence[str], limit: int) -> list[Row]:
        """Return cases, the most urgent first."""
        return await self._rows("select_review_cases", {"states": list(states), "limit": limit})

    async def get_review_case(self, case_id: int) -> Row:
        """Return a case with its transactions and events.

        Raises:
            NotFoundError: There is no such case.
        """
        rows = await self._rows("select_review_case", {"case_id": case_id})
        if not rows:
            raise NotFoundError(f"there is no case {case_id}")
        return rows[0]

    async def claim_review_case(self, by: str, case_id: int | None) -> Row | None:
        """Claim a case, or the most urgent open one; None when none is open.

        Raises:
            NotFoundError: There is no such case.
            ConflictError: Another reviewer has it, or it is decided.
        """
        rows = await self._rows("claim_review_case", {"by": by, "case_id": case_id})
        return rows[0] if rows else None

    async def decide_review_cases(self, values: Row) -> list[Row]:
        """Decide cases, all or none; arguments as of the SQL function.

        Raises:
            NotFoundError: There is no such case or list.
            ConflictError: Another reviewer has one, or it is decided.
        """
        return await self._rows("decide_review_cases", values)

    async def release_review_case(self, case_id: int, by: str, *, is_forced: bool) -> Row:
        """Put a claimed case back into the queue.

        Raises:
            NotFoundError: There is no such case.
            ConflictError: It is not claimed by this reviewer.
        """
        values = {"case_id": case_id, "by": by, "is_forced": is_forced}
        return (await self._rows("release_review_case", values))[0]

    async def reopen_review_case(self, case_id: int, by: str, note: str | None, due_hours: float) -> Row:
        """Open a decided case again.

        Raises:
            NotFoundError: There is no such case.
            ConflictError: It is not decided, or the user has an open case.
        """
        values = {"case_id": case_id, "by": by, "note": note, "due_hours": due_hours}
        return (await self._rows("reopen_review_case", values))[0]

    async def get_champion(self) -> Row | None:
        """Return the registry row of the champion, None without one."""
        rows = await self._rows("select_champion")
        return rows[0] if rows else None

    async def count_reviews(self) -> Row:
        """Return how many cases are `open`, `claimed` and `overdue`, and `overdue_seconds` of the most urgent one."""
        return (await self._rows("count_reviews"))[0]

    async def count_unscored(self) -> int:
        """Return the number of unscored live transactions, at most 100,000."""
        return int((await self._rows("count_unscored"))[0]["unscored"])

    async def get_readiness(self) -> Row:
        """Return the flags `has_schema` and `is_writable`, at most a second old: a flood of probes is one query."""
        now = asyncio.get_running_loop().time()
        if self._readiness is None or (self._readiness.done() and now - self._readiness_at > READINESS_AGE_S):
            self._readiness, self._readiness_at = asyncio.create_task(self._rows("is_ready")), now
        return (await asyncio.shield(self._readiness))[0]

    async def _scores(self, query: str, rows: Sequence[Row]) -> list[Row]:
        """Return scores in the order of the rows."""
        if not rows:
            return []
        return await self._rows(query, rows_parameter(rows))

    async def _rows(self, query: str, values: Row | None = None) -> list[Row]:
        with translated_errors():
            return await fetch_rows(self._pool, query, values)


async def check_connection(connection: psycopg.AsyncConnection[Any]) -> None:
    """Check a pooled connection without a round trip: an idle server sends nothing, a closed one is readable.

    Raises:
        psycopg.OperationalError: The server has ended the connection.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    if poll.poll(0):
        await connection.close()  # libpq has not noticed yet, so the pool would take it back
        raise psycopg.OperationalError("the server has ended the connection")
