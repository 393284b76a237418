"""Inserting live transactions one by one, as an application would, and keeping count of the decisions."""

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
    """What the database answered to one INSERT, beside the truth."""

    transaction: LiveTransaction
    transaction_id: int
    occurred_at: datetime
    """As stored: the database's clock, or the simulated one if that was sent."""
    is_flagged: bool | None
    """`None` before any model is deployed."""
    fraud_probability: float | None
    model_version: str | None
    seconds: float
    """From sending the INSERT to its answer, commit included."""


@dataclass(slots=True)
class LiveSummary:
    """Counts of a live run; `decisions` holds every row in order."""

    decisions: list[LiveDecision] = field(default_factory=list)
    frauds_flagged: int = 0
    frauds_missed: int = 0
    false_alarms: int = 0
    rightly_passed: int = 0
    undecided: int = 0
    """Rows without a decision, because no model was deployed."""
    seconds: float = 0.0
    """Of the whole run, pauses included."""

    @property
    def rows(self) -> int:
        decided = self.frauds_flagged + self.frauds_missed + self.false_alarms + self.rightly_passed
        return decided + self.undecided

    @property
    def precision(self) -> float | None:
        """Share of frauds among the flagged; `None` if nothing was flagged."""
        flagged = self.frauds_flagged + self.false_alarms
        return self.frauds_flagged / flagged if flagged else None

    @property
    def recall(self) -> float | None:
        """Share of the decided frauds that were flagged; `None` if there were none."""
        frauds = self.frauds_flagged + self.frauds_missed
        return self.frauds_flagged / frauds if frauds else None

    def add(self, decision: LiveDecision) -> None:
        """Counts one more decision."""
        if decision.is_flagged is None:
            self.undecided += 1
        elif decision.transaction.is_fraud:
            self.frauds_flagged += decision.is_flagged
            self.frauds_missed += not decision.is_flagged
        else:
            self.false_alarms += decision.is_flagged
            self.rightly_passed += not decision.is_flagged


def insert_live(
    connection: psycopg.Connection[Any],
    transactions: Iterable[LiveTransaction],
    *,
    rate: float | None = None,
    pause_between: float | None = None,
    set_occurred_at: bool = False,
    keep_decisions: bool = True,
    on_row: Callable[[LiveDecision], None] | None = None,
) -> LiveSummary:
    """Inserts each transaction by an INSERT of its own, committed on its own.

    Parameters:
        connection: in autocommit mode.
        rate: rows per second, kept on average; without it (and without a pause) as fast as it goes.
        pause_between: seconds to wait after each row, instead of a rate.
        set_occurred_at: send the simulated instant; otherwise the database takes its own clock.
        keep_decisions: collect every decision in the summary; turn off for endless streams.
        on_row: called after each row.

    Raises:
        SimulationConfigError: both a rate and a pause, or one that is not a positive number.
        DatabaseUnavailableError: the database went away; says after how many rows.
        SchemaError: the tables are missing or of another revision.
    """
    _check(connection, rate, pause_between)
    query = QUERIES["insert_transaction_at" if set_occurred_at else "insert_transaction"]
    summary = LiveSummary()
    began = time.perf_counter()
    with connection.cursor() as cursor:
        for number, transaction in enumerate(transactions):
            if rate:
                _wait_until(began + number / rate)
            sent = time.perf_counter()
            row = _insert(cursor, query, transaction, done=number)
            decision = _decision(transaction, row, time.perf_counter() - sent)
            summary.add(decision)
            summary.seconds = time.perf_counter() - began
            if keep_decisions:
                summary.decisions.append(decision)
            if on_row:
                on_row(decision)
            if pause_between:
                time.sleep(pause_between)
    return summary


def _check(connection: psycopg.Connection[Any], rate: float | None, pause_between: float | None) -> None:
    if rate is not None and pause_between is not None:
        raise SimulationConfigError("give a rate or a pause between rows, not both")
    for name, value in (("rate", rate), ("pause_between", pause_between)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise SimulationConfigError(f"{name} must be a positive number, not {value!r}")
    if not connection.autocommit:
        raise SimulationConfigError("live transactions need a connection in autocommit mode")


def _wait_until(instant: float) -> None:
    left = instant - time.perf_counter()
    if left > 0:
        time.sleep(left)


def _insert(
    cursor: psycopg.Cursor[Any], query: LiteralString, transaction: LiveTransaction, *, done: int
) -> tuple[Any, ...]:
    try:
        row = cursor.execute(query, transaction._asdict()).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        reason = str(error).splitlines()[0]
        raise SchemaError(f"no transactions can be inserted ({reason}); run: rowguard migrate") from error
    except psycopg.OperationalError as error:
        reason = str(error).splitlines()[0]
        raise DatabaseUnavailableError(f"the database went away after {done:,} rows: {reason}") from error
    if row is None:
        raise SchemaError("the database took a transaction but answered with no row; is a rule in the way?")
    return tuple(row)


def _decision(transaction: LiveTransaction, row: tuple[Any, ...], seconds: float) -> LiveDecision:
    transaction_id, occurred_at, flag, probability, version = row
    return LiveDecision(
        transaction=transaction,
        transaction_id=transaction_id,
        occurred_at=occurred_at,
        is_flagged=None if flag is None else flag in (True, "FRAUD"),
        fraud_probability=probability,
        model_version=version,
        seconds=seconds,
    )
