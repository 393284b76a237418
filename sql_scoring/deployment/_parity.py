"""Compares a function in the database with the model itself, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from rowguard.errors import ParityError
from sql_scoring.engine import reference_probabilities, reference_scores
from sql_scoring.registry import ModelRecord, qualified
from sql_scoring.scores import PROBABILITY_ULPS, compose_probability, decision_cut

_BATCH = 20_000
REAL_ULPS = 2  # of float32, in which XGBoost computes its probability


@dataclass(frozen=True)
class Parity:
    """How many rows were compared, and how many differed in any bit."""

    rows: int
    differences: int


def check_parity(
    connection: psycopg.Connection,
    record: ModelRecord,
    model: Any,
    rows: NDArray[np.float64],
) -> Parity:
    """Compare a scoring function with the model: `predict_proba`, or of a boosted model the margin.

    Of a boosted model the shown probabilities and the decisions are compared too.

    Args:
        connection: Open connection; a temporary table is created and dropped.
        record: The registered model, whose function exists and takes `real[]`.
        model: The fitted model.
        rows: Shape (rows, features), NaN where missing.

    Returns:
        How many rows were compared.

    Raises:
        ParityError: At least one value differs; shows the first.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # scikit-learn sums the huge rows to look for NaN
        stored = rows.astype(np.float32)
        # Rows hold real values: a model that compares float64 is compared on those.
        expected = reference_scores(model, stored.astype(np.float64))
    call = sql.SQL("{}(v)").format(qualified(record.function_name))
    actual = _evaluate(connection, call, stored)
    differ = np.flatnonzero(expected.view(np.int64) != actual.view(np.int64))
    if len(differ):
        first = differ[0]
        raise ParityError(
            f"{record.function_name} differs from the model on {len(differ)} of {len(rows)} rows; the first: "
            f"{actual[first]!r} instead of {expected[first]!r}; nothing was deployed"
        )
    if record.margin_cut is not None:
        _check_probabilities(connection, record, model, stored, expected)
    return Parity(len(rows), 0)


def _check_probabilities(
    connection: psycopg.Connection,
    record: ModelRecord,
    model: Any,
    stored: NDArray[np.float32],
    margins: NDArray[np.float64],
) -> None:
    """Compare decisions exactly, and shown probabilities within their bound; raises ParityError."""
    call = compose_probability(record, sql.SQL("{}(v)").format(qualified(record.function_name)))
    shown = _evaluate(connection, call, stored)
    expected = reference_probabilities(model, margins)
    wrong = int(((shown >= record.threshold) != (margins >= decision_cut(record))).sum())
    other = int(((expected >= record.threshold) != (margins >= decision_cut(record))).sum())
    is_real = np.array_equal(expected, expected.astype(np.float32))
    bound = (
        REAL_ULPS * np.spacing(expected.astype(np.float32))
        if is_real
        else PROBABILITY_ULPS * np.spacing(expected)
    )
    # Beyond the margins of +-700 the server's exp() would raise: both are 0 or 1 to any reader.
    far = int((np.abs(shown - expected) > np.maximum(bound, 1e-300)).sum())
    if wrong or other or far:
        raise ParityError(
            f"{record.function_name}: of {len(margins)} rows {wrong + other} are decided differently and {far} "
            "probabilities are out of bounds; nothing was deployed"
        )


def _evaluate(
    connection: psycopg.Connection, value: sql.Composable, rows: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The value of an expression over the array `v` for each row."""
    return np.fromiter(_values(connection, value, rows), np.float64, count=len(rows))


def _values(
    connection: psycopg.Connection, value: sql.Composable, rows: NDArray[np.float32]
) -> Iterator[float]:
    query = sql.SQL("SELECT {} FROM parity_rows ORDER BY n").format(value)
    # The temporary table lives in this block, whether or not the caller has a transaction open.
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE parity_rows (n integer, v real[]) ON COMMIT DROP")
        for start in range(0, len(rows), _BATCH):
            cursor.execute("TRUNCATE parity_rows")
            with cursor.copy("COPY parity_rows FROM STDIN (FORMAT binary)") as copy:
                copy.set_types(["int4", "float4[]"])
                for n, row in enumerate(rows[start : start + _BATCH].tolist()):
                    copy.write_row((n, [None if value != value else value for value in row]))
            cursor.execute(query)
            for (score,) in cursor:
                yield score if score is not None else float("nan")
        cursor.execute("DROP TABLE parity_rows")
