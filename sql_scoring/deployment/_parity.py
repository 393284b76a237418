"""Compares a function in the database with scikit-learn, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from sklearn.base import ClassifierMixin

from rowguard.errors import ParityError
from sql_scoring.engine import reference_scores
from sql_scoring.registry import qualified

_BATCH = 20_000


@dataclass(frozen=True)
class Parity:
    """How many rows were compared, and how many differed in any bit."""

    rows: int
    differences: int


def check_parity(
    connection: psycopg.Connection,
    function_name: str,
    model: ClassifierMixin,
    rows: NDArray[np.float64],
) -> Parity:
    """Compare a scoring function with `model.predict_proba`.

    Args:
        connection: Open connection; a temporary table is created and dropped.
        function_name: Qualified name of a function of `real[]`.
        model: The fitted model.
        rows: Shape (rows, features), NaN where missing.

    Returns:
        How many rows were compared.

    Raises:
        ParityError: At least one value differs; shows the first.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # scikit-learn sums the huge rows to look for NaN
        expected = reference_scores(model, rows)
        stored = rows.astype(np.float32)
    actual = np.fromiter(_call(connection, function_name, stored), np.float64, count=len(rows))
    differ = np.flatnonzero(expected.view(np.int64) != actual.view(np.int64))
    if len(differ):
        first = differ[0]
        raise ParityError(
            f"{function_name} differs from scikit-learn on {len(differ)} of {len(rows)} rows; the first: "
            f"{actual[first]!r} instead of {expected[first]!r}; nothing was deployed"
        )
    return Parity(len(rows), 0)


def _call(connection: psycopg.Connection, function_name: str, rows: NDArray[np.float32]) -> Iterator[float]:
    query = sql.SQL("SELECT {}(v) FROM parity_rows ORDER BY n").format(qualified(function_name))
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
