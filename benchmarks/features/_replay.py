"""A day by INSERT on top of the history before it: trigger, score_transaction and training set, value for value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from psycopg import sql

from benchmarks.features._stage import Stage

SQL = Path(__file__).parent / "sql"


@dataclass
class Replayed:
    """Rows inserted, and how many values were compared and differ."""

    rows: int = 0
    unscored: int = 0
    asked_values: int = 0
    asked_differences: int = 0
    calls: int = 0
    answer_differences: int = 0
    training_rows: int = 0
    training_values: int = 0
    training_differences: int = 0


def insert_day(stage: Stage, rows: pa.Table, hash8: str) -> Replayed:
    """Each row is asked about (live function, score_transaction), then inserted, in a transaction each."""
    found = Replayed()
    function = sql.Identifier("features", f"live_feature_values_{hash8}")
    given = "%(user_id)s, %(amount)s, %(merchant_id)s, NULL, %(occurred_at)s"
    ask = sql.SQL(
        "SELECT {}(" + given + "), (public.score_transaction(" + given + ")).fraud_probability"
    ).format(function)
    insert = (
        "INSERT INTO public.transactions (user_id, amount, merchant_id, location, occurred_at) VALUES ("
        + given
        + ")"
        " RETURNING feature_values, fraud_probability"
    ).encode()
    with stage.connect() as connection:
        for row in rows.select(["user_id", "amount", "merchant_id", "occurred_at"]).to_pylist():
            asked = connection.execute(ask, row, prepare=True, binary=True).fetchone()
            stored = connection.execute(insert, row, prepare=True, binary=True).fetchone()
            assert asked is not None and stored is not None
            found.rows += 1
            if stored[0] is None:
                found.unscored += 1
                continue
            found.asked_values += len(stored[0])
            found.asked_differences += sum(
                one != other for one, other in zip(asked[0], stored[0], strict=True)
            )
            found.calls += 1
            found.answer_differences += asked[1] != stored[1]
    return found


def compare_with_training(stage: Stage, found: Replayed) -> Replayed:
    """After the build that holds the inserted rows."""
    with stage.connect() as connection:
        row = connection.execute((SQL / "replayed_values.sql").read_bytes()).fetchone()
    assert row is not None
    found.training_rows, found.training_values, found.training_differences = row
    return found
