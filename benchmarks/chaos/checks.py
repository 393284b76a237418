"""What must be true after any fault, asked of the database itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from benchmarks.chaos.house import House
from benchmarks.chaos.load import Acknowledged
from rowguard.sql_files import read_sql
from sql_scoring.features.build import build_features
from tests.oracle.velocity_oracle import Recomputed, recompute
from trainer.lifecycle import migrate
from trainer.retrain import verify

SQL = Path(__file__).parent / "sql"


@dataclass(frozen=True)
class Found:
    """Counts after one fault; everything but `stored` and `with_reason` must be 0."""

    stored: int
    lost: int
    doubled: int
    changed: int
    without_either: int
    with_reason: int
    unreplayable: int

    @property
    def is_right(self) -> bool:
        return not (self.lost or self.doubled or self.changed or self.without_either or self.unreplayable)


def check_rows(house: House, run: str, acknowledged: list[Acknowledged]) -> Found:
    """Every acknowledged payment is there once and says what the client was told; every decision replays."""
    with house.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(_text("acknowledged"))
        with cursor.copy("COPY acknowledged FROM STDIN") as copy:
            for one in acknowledged:
                copy.write_row(
                    (
                        one.payment.user_id,
                        one.payment.key,
                        one.transaction_id,
                        one.fraud_probability,
                        one.model_version,
                        one.unscored_reason,
                    )
                )
        counts = cursor.execute(_text("compare"), {"run": f"{run}-"}).fetchone()
        reasons = cursor.execute(_text("undecided"), {"run": f"{run}-"}).fetchone()
        assert counts is not None and reasons is not None
        return Found(**counts, **reasons, unreplayable=unreplayable(connection))


def unreplayable(connection: psycopg.Connection) -> int:
    """Decisions in the whole table that their model does not give again, bit for bit."""
    wrong = 0
    for version, function_name in connection.execute(_text("versions")).fetchall():
        function = sql.Identifier(*function_name.split("."))
        query = sql.SQL(read_sql(SQL, "replay")).format(function=function)
        row = connection.execute(query, {"version": version}).fetchone()
        assert row is not None
        wrong += row[0]
    return wrong


@dataclass(frozen=True)
class Velocity:
    """Decided rows beside the training set, and beside what Python reckons from the raw rows."""

    compared: int
    differ: int
    labels_stale: int
    again: Recomputed


def check_velocity(house: House, since: datetime | None) -> Velocity:
    """Live rows that were compared with the training set, how many differ in a velocity value, and how many in what
    was known of merchants; and every velocity value of the rows that arrived `since` reckoned anew without any
    SQL of ours.

    The training set goes by arrival. Rows that differ from it because they missed a row stored without the lock, or
    saw it, are right when the reckoning says so, and are not counted; their derived features nobody compares then.
    """
    build_features(house.url, house.settings)
    with house.connect() as connection:
        row = connection.execute(_text("velocity")).fetchone()
        assert row is not None
        compared, found, missing, labels_stale = row
        again = recompute(connection, since=since)
        differing = {(user, number) for user, number in found} - again.beside_open
        if differing and since is not None:  # of a fault before this one
            differing -= recompute(connection).beside_open
    return Velocity(compared, missing + len(differing), labels_stale, again)


def is_healthy(house: House) -> bool:
    """What nobody had to mend: the champion is whole, its files are there, a migration has nothing to do."""
    done = migrate(house.url, house.settings)
    return done.model_revisions == 0 and verify(house.url, house.settings).is_ok


def _text(name: str) -> bytes:
    return read_sql(SQL, name).encode()
