"""Insert live transactions individually, as an application would, and count the decisions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

import psycopg

from rowguard.errors import DatabaseUnavailableError, SchemaError
from rowguard.queries import load_queries
from simulator._config import SimulationConfigError
from simulator._stream import LiveTransaction

QUERIES = load_queries("simulator")


class LiveDecision(NamedTuple):
    """The decision that one INSERT returned, with the transaction's label."""

    transaction: LiveTransaction
    transaction_id: int
    occurred_at: datetime
    """As stored: the database's clock, or the simulated one if it was sent."""
    is_flagged: bool | None
    """`None` before any model is deployed."""
    fraud_probability: float | None
    model_version: str | None
    seconds: float
    """From sending the INSERT to its result, commit included."""


@dataclass(slots=True)
class LiveSummary:
    """Counts of a live run; `decisions` has every row in order."""

    decisions: list[LiveDecision] = field(default_factory=list)
    true_positives: int = 0
    false_negatives: int = 0
    false_positives: int = 0
    true_negatives: int = 0
    unscored: int = 0
    """Rows without a decision."""
    seconds: float = 0.0
    """Of the whole run."""

    @property
    def rows(self) -> int:
        counts = (self.true_positives, self.false_negatives, self.false_positives, self.true_negatives)
        return sum(counts) + self.unscored

    @property
    def precision(self) -> float | None:
        """Fraction of frauds among the alerts; None without alerts."""
        alerts = self.true_positives + self.false_positives
        return self.true_positives / alerts if alerts else None

    @property
    def recall(self) -> float | None:
        """Fraction of the scored frauds that were alerts; None without frauds."""
        frauds = self.true_positives + self.false_negatives
        return self.true_positives / frauds if frauds else None

    def as_document(self) -> dict[str, Any]:
        """Return the counts and rates by name."""
        names = ("true_positives", "false_negatives", "false_positives", "true_negatives", "unscored")
        rates = {"precision": self.precision, "recall": self.recall, "seconds": round(self.seconds, 2)}
        return {"rows": self.rows, **{name: getattr(self, name) for name in names}, **rates}

    def add(self, decision: LiveDecision) -> None:
        """Count one more decision."""
        if decision.is_flagged is None:
            self.unscored += 1
        elif decision.transaction.is_fraud:
            self.true_positives += decision.is_flagged
            self.false_negatives += not decision.is_flagged
        else:
            self.false_positives += decision.is_flagged
            self.true_negatives += not decision.is_flagged


def insert_live(
    connection: psycopg.Connection[Any],
    transactions: Iterable[LiveTransaction],
    *,
    rate: float | None = None,
    set_occurred_at: bool = False,
    keep_decisions: bool = True,
    on_row: Callable[[LiveDecision], None] | None = None,
) -> LiveSummary:
    """Insert each transaction with a separate INSERT and commit.

    Args:
        connection: In autocommit mode.
        transactions: What to insert, in order.
        rate: Mean rows per second; None for full speed.
        set_occurred_at: Send the simulated time; otherwise the database uses its clock.
        keep_decisions: Collect every decision in the summary; turn it off for long streams.
        on_row: Called with each decision.

    Returns:
        Counts of the decisions against the labels.

    Raises:
        SimulationConfigError: The rate is not a positive number, or the connection not in autocommit mode.
        DatabaseUnavailableError: The connection was lost; states after how many rows.
        SchemaError: The tables are missing or of another revision.
    """
    if rate is not None and not (math.isfinite(rate) and rate > 0):
        raise SimulationConfigError(f"rate must be a positive number, not {rate!r}")
    if not connection.autocommit:
        raise SimulationConfigError("live transactions need a connection in autocommit mode")
    query = QUERIES["insert_transaction_at" if set_occurred_at else "insert_transaction"]
    summary = LiveSummary()
    started = time.perf_counter()
    with connection.cursor() as cursor:
        for number, transaction in enumerate(transactions):
            if rate:
                time.sleep(max(0.0, started + number / rate - time.perf_counter()))
            sent = time.perf_counter()
            row_id, occurred_at, flag, probability, version = _insert(cursor, query, transaction, done=number)
            is_flagged = None if flag is None else flag == "FRAUD"
            seconds = time.perf_counter() - sent
            decision = LiveDecision(
                transaction, row_id, occurred_at, is_flagged, probability, version, seconds
            )
            summary.add(decision)
            summary.seconds = time.perf_counter() - started
            if keep_decisions:
                summary.decisions.append(decision)
            if on_row:
                on_row(decision)
    return summary


def _insert(
    cursor: psycopg.Cursor[Any], query: LiteralString, transaction: LiveTransaction, *, done: int
) -> tuple[Any, ...]:
    try:
        row = cursor.execute(query, transaction._asdict()).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        reason = str(error).splitlines()[0]
        raise SchemaError(f"cannot insert transactions ({reason}); run: rowguard migrate") from error
    except psycopg.OperationalError as error:
        reason = str(error).splitlines()[0]
        raise DatabaseUnavailableError(f"lost the connection after {done:,} rows: {reason}") from error
    if row is None:
        raise SchemaError("an INSERT into transactions returned no row; check for rules on the table")
    return tuple(row)
