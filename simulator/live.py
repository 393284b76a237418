"""Insert live transactions individually, as an application would, and count the decisions."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg

from rowguard.declaration import declared
from rowguard.queries import load_queries
from rowguard.slots import fill_slots
from simulator._config import SimulationConfigError
from simulator._stream import LiveTransaction

QUERIES = load_queries("simulator")


class LiveDecision(NamedTuple):
    """The decision that one INSERT returned, with the transaction's label."""

    transaction: LiveTransaction
    transaction_id: int
    is_flagged: bool | None
    """`None` before any model is deployed."""
    fraud_probability: float | None
    seconds: float
    """From sending the INSERT to its result, commit included."""


@dataclass(slots=True)
class LiveSummary:
    """The decisions of a live run in order, and its length."""

    decisions: list[LiveDecision]
    seconds: float

    def metrics(self) -> dict[str, float | None]:
        """Count the decisions against the labels.

        Returns:
            Counts by name; `precision` is None without alerts, `recall` without scored frauds.
        """
        counts = Counter((decision.is_flagged, decision.transaction.is_fraud) for decision in self.decisions)
        alerts = counts[True, True] + counts[True, False]
        frauds = counts[True, True] + counts[False, True]
        return {
            "rows": len(self.decisions),
            "true_positives": counts[True, True],
            "false_negatives": counts[False, True],
            "false_positives": counts[True, False],
            "true_negatives": counts[False, False],
            "unscored": counts[None, True] + counts[None, False],
            "precision": counts[True, True] / alerts if alerts else None,
            "recall": counts[True, True] / frauds if frauds else None,
            "seconds": round(self.seconds, 3),
        }


def insert_live(
    connection: psycopg.Connection[Any],
    transactions: Iterable[LiveTransaction],
    *,
    rate: float | None = None,
    set_occurred_at: bool = False,
    on_row: Callable[[LiveDecision], None] | None = None,
) -> LiveSummary:
    """Insert each transaction with a separate INSERT and commit.

    Args:
        connection: In autocommit mode.
        transactions: What to insert, in order.
        rate: Mean rows per second; None for full speed.
        set_occurred_at: Send the simulated time; otherwise the database uses its clock.
        on_row: Called with each decision.

    Returns:
        The decisions.

    Raises:
        SimulationConfigError: The rate is not a positive number, or the connection not in autocommit mode.
        psycopg.Error: The database rejects a row, or the connection was lost.
    """
    if rate is not None and not (math.isfinite(rate) and rate > 0):
        raise SimulationConfigError(f"rate must be a positive number, not {rate!r}")
    if not connection.autocommit:
        raise SimulationConfigError("live transactions need a connection in autocommit mode")
    decisions: list[LiveDecision] = []
    declaration = declared()
    statement = fill_slots(QUERIES["insert_transaction"], declaration).encode()
    # Declared columns that the simulator does not know are NULL.
    unknown = dict.fromkeys(declaration.columns)
    started = time.perf_counter()
    with connection.cursor() as cursor:
        for number, transaction in enumerate(transactions):
            if rate:
                time.sleep(max(0.0, started + number / rate - time.perf_counter()))
            values = unknown | transaction._asdict() | ({} if set_occurred_at else {"occurred_at": None})
            sent = time.perf_counter()
            stored = cursor.execute(statement, values).fetchone()
            assert stored is not None
            row_id, flag, probability = stored
            is_flagged = None if flag is None else flag == "FRAUD"
            decision = LiveDecision(transaction, row_id, is_flagged, probability, time.perf_counter() - sent)
            decisions.append(decision)
            if on_row:
                on_row(decision)
    return LiveSummary(decisions, time.perf_counter() - started)
