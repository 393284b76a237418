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
    """Rows inserted; of each comparison, how many values were compared and how many differ."""

    rows: int = 0
    unscored: int = 0
    live: tuple[int, int] = (0, 0)
    scores: tuple[int, int] = (0, 0)
    training: tuple[int, int] = (0, 0)


def insert_day(stage: Stage, rows: pa.Table, hash8: str) -> Replayed:
    """Score each row without storing it (live function, score_transaction), then insert it, in a transaction each."""
    result = Replayed()
    values = "%(user_id)s, %(amount)s, %(merchant_id)s, NULL, %(occurred_at)s"
    preview = sql.SQL(
        "SELECT ({}(ROW(%(user_id)s, %(amount)s, %(occurred_at)s, %(merchant_id)s, NULL)::scoring.scoring_request))"
        ".feature_values,"
        f" (public.score_transaction({values})).fraud_probability"
    ).format(sql.Identifier("features", f"live_feature_values_{hash8}"))
    insert = (
        "INSERT INTO public.transactions (user_id, amount, merchant_id, location, occurred_at)"
        f" VALUES ({values}) RETURNING feature_values, fraud_probability"
    ).encode()
    with stage.connect() as connection:
        for row in rows.select(["user_id", "amount", "merchant_id", "occurred_at"]).to_pylist():
            expected = connection.execute(preview, row, prepare=True, binary=True).fetchone()
            stored = connection.execute(insert, row, prepare=True, binary=True).fetchone()
            assert expected is not None and stored is not None
            result.rows += 1
            if stored[0] is None:
                result.unscored += 1
                continue
            differing = sum(left != right for left, right in zip(expected[0], stored[0], strict=True))
            result.live = (result.live[0] + len(stored[0]), result.live[1] + differing)
            result.scores = (result.scores[0] + 1, result.scores[1] + (expected[1] != stored[1]))
    return result


def compare_with_training(stage: Stage, replayed: Replayed) -> None:
    """Fill in the comparison with the training set, after the build that holds the inserted rows."""
    with stage.connect() as connection:
        row = connection.execute((SQL / "replayed_values.sql").read_bytes()).fetchone()
    assert row is not None
    replayed.training = (row[0], row[1])
