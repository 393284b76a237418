"""The gate of a deployment: base and contributions add up to what the function returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from rowguard.database import fetch_one
from rowguard.errors import ExplanationError
from rowguard.queries import load_queries
from sql_scoring.registry import ModelRecord, qualified

QUERIES = load_queries("sql_scoring")
_BATCH = 1_000
_ROWS_WITHOUT_TABLES = 100


@dataclass(frozen=True)
class Additivity:
    """How many rows were compared, and the largest difference."""

    rows: int
    difference: float


def check_additivity(
    connection: psycopg.Connection, record: ModelRecord, rows: NDArray[np.float64]
) -> Additivity:
    """Compare base plus contributions with the scoring function, in the transaction that created both.

    Args:
        connection: Open connection.
        record: The model; its explanation is built.
        rows: Shape (rows, features), NaN where missing.

    Returns:
        What was compared.

    Raises:
        ExplanationError: They differ by more than 1e-12 on a row, or than the library's own sum may.
    """
    has_tables, tolerance = fetch_one(connection, QUERIES["explanation_kind"], {"version": record.version})
    if not has_tables:
        rows = rows[:: max(1, len(rows) // _ROWS_WITHOUT_TABLES)]
    query = sql.SQL(QUERIES["measure_additivity"]).format(function=qualified(record.function_name))
    largest = 0.0
    with np.errstate(over="ignore"):
        stored = rows.astype(np.float32)
    for start in range(0, len(stored), _BATCH):
        values = [
            None if value != value else value
            for row in stored[start : start + _BATCH].tolist()
            for value in row
        ]
        (difference,) = fetch_one(connection, query, {"version": record.version, "values": values})
        largest = max(largest, float(difference))
    if not largest <= tolerance:
        raise ExplanationError(
            f"the contributions of {record.version} and its base differ from its output by {largest:.3g}, "
            f"more than {tolerance:.3g}; nothing was deployed"
        )
    return Additivity(len(rows), largest)
