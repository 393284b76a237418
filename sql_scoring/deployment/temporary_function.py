"""Runs a version's function in the database before it is deployed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from rowguard.database import connect
from rowguard.queries import load_queries
from sql_scoring import registry
from sql_scoring.engine import boundary_rows

QUERIES = load_queries("sql_scoring")
TIMED_CALLS = 100


@contextmanager
def trial_function(connection: psycopg.Connection, record: registry.ModelRecord) -> Iterator[None]:
    """Create the function for the block; it is never committed.

    Raises:
        RegistryError: The registry does not hold the text that was trained.
    """
    with connection.transaction(force_rollback=True):
        if not registry.function_exists(connection, record.function_name):
            connection.execute(record.function_text().encode())
        yield


def parity_rows(
    url: str, record: registry.ModelRecord, model: Any, count: int, seed: int = 0
) -> NDArray[np.float64]:
    """Return rows to compare on: of the training set, around the thresholds, with values missing.

    Args:
        url: Address of the database.
        record: The registered model.
        model: The fitted model.
        count: About how many rows.
        seed: Seed of the random choices.

    Returns:
        Shape (about count, features), NaN where missing.
    """
    training = _training_rows(url, record, count // 2)
    around = boundary_rows(model, count // 4, seed=seed)
    width = len(record.feature_names)
    random = np.random.default_rng(seed)
    incomplete = training[: count // 4].copy()
    incomplete[random.random(incomplete.shape) < 0.3] = np.nan
    return np.concatenate([training, around, incomplete, np.full((1, width), np.nan)])


def measure_latency(
    connection: psycopg.Connection, function_name: str, rows: NDArray[np.float64]
) -> dict[str, float]:
    """Return `first_call_ms` and `call_ms`, the median of later calls, round trip included.

    Args:
        connection: A new connection, where nothing is planned yet.
        function_name: Qualified name of a function of `real[]`.
        rows: Shape (rows, features), NaN where missing.
    """
    call = sql.SQL("SELECT {}(%s::real[])").format(registry.qualified(function_name))
    values = [
        [None if value != value else float(value) for value in row]
        for row in rows[: TIMED_CALLS + 1].astype(np.float32)
    ]
    milliseconds = []
    for row in values:
        started = time.perf_counter()
        connection.execute(call, [row]).fetchone()
        milliseconds.append((time.perf_counter() - started) * 1000)
    return {
        "first_call_ms": round(milliseconds[0], 3),
        "call_ms": round(median(milliseconds[1:] or milliseconds), 3),
    }


def _training_rows(url: str, record: registry.ModelRecord, limit: int) -> NDArray[np.float64]:
    """Rows of the model's training window, shape (at most limit, features); none when another list is built."""
    width = len(record.feature_names)
    with connect(url) as connection, connection.cursor(binary=True) as cursor:
        cursor.execute(
            QUERIES["sample_rows"],
            {
                "start": record.train_from,
                "until": record.train_to,
                "below": 2**31 * min(1.0, 1.2 * limit / max(record.row_count, 1)),
                "max_rows": limit,
            },
        )
        rows = [values for (values,) in cursor if len(values) == width]
    return np.array(
        [[np.nan if value is None else value for value in row] for row in rows], np.float64
    ).reshape(len(rows), width)
