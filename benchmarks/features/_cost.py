"""What a scored INSERT costs at growing users and merchants, and what the feature read costs beyond a plain one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from psycopg import sql

from benchmarks.features._stage import Stage

SQL = Path(__file__).parent / "sql"
FIRST_ID = 10**9
OTHERS = 5 * 10**8  # users who are at the busy merchants, each once or a few times


@dataclass(frozen=True)
class Timed:
    """Microseconds inside the server."""

    what: str
    calls: int
    median: float
    fast_tenth: float


def ids_of(size: int) -> list[int]:
    """Busy users, and merchants: few large ones; many small ones, as the measured inserts make them larger."""
    return [FIRST_ID + size * 10 + number for number in range(max(1, min(100, 10_000 // size)))]


def add_busy_history(stage: Stage, sizes: list[int]) -> None:
    """Users with so many transactions in the last 30 days, and merchants with as many, evenly spread."""
    end = datetime.now(UTC).replace(microsecond=0)
    parts = []
    for size in sizes:
        count = np.arange(size)
        parts += [_spread(end, size, np.full(size, user), count % 5_000) for user in ids_of(size)]
        parts += [
            _spread(end, size, OTHERS + count % 20_000, np.full(size, merchant)) for merchant in ids_of(size)
        ]
    stage.load(pa.concat_tables(parts))


def _spread(end: datetime, size: int, users: NDArray[np.int64], merchants: NDArray[np.int64]) -> pa.Table:
    step = timedelta(days=30) / (size + 1)
    times = [end - timedelta(days=30) + step * (number + 1) for number in range(size)]
    return pa.table(
        {
            "occurred_at": pa.array(times, pa.timestamp("us", "UTC")),
            "user_id": pa.array(users, pa.int64()),
            "merchant_id": pa.array(merchants, pa.int64()),
            "amount": pa.array([Decimal(number % 9_000 + 100) / 100 for number in range(size)], pa.decimal128(18, 2)),
        }
    )  # fmt: skip


def install(stage: Stage, hash8: str) -> None:
    """The procedures that take the times, for the built list."""
    with stage.connect() as connection:
        values = {}
        row = connection.execute(
            "SELECT name FROM features.feature_definitions WHERE delay_days IS NOT NULL LIMIT 1"
        ).fetchone()
        # A list may have none: then nothing is read.
        values["merchant_value"] = sql.Identifier(row[0] if row else "valid_from").as_string()
        values["merchant_risk"] = sql.Identifier("features", f"merchant_risk_{hash8}").as_string()
        hours = [
            hour
            for (hour,) in connection.execute(
                "SELECT window_minutes / 60 FROM features.feature_definitions WHERE kind = 'running_total'"
                " GROUP BY 1 ORDER BY 1"
            )
        ]
        values["windows"] = ", ".join(f"interval '{hour} hours'" for hour in hours)
        values["live_function"] = sql.Identifier("features", f"live_feature_values_{hash8}").as_string()
        text = (SQL / "timed_procedures.sql").read_text()
        for name, value in values.items():
            text = text.replace("{" + name + "}", value)
        connection.execute(text.encode())
        connection.execute("VACUUM ANALYZE public.transactions")


def time_inserts(stage: Stage, sizes: list[int], calls: int, rounds: int = 5) -> dict[str, Timed]:
    """Sizes in turn, round after round; names are `user 100`, `merchant 100`, …"""
    with stage.connect() as connection:
        connection.execute("TRUNCATE bench.times")
        call = "CALL bench.time_inserts(%s, %s, %s, %s)"
        for number in range(rounds + 1):
            for size in sizes:
                quiet_users = [OTHERS + 100_000 + place for place in range(200)]
                connection.execute(call, [f"user {size}", ids_of(size), [1], calls // rounds])
                connection.execute(call, [f"merchant {size}", quiet_users, ids_of(size), calls // rounds])
            if number == 0:  # first calls of a connection compile the model
                connection.execute("TRUNCATE bench.times")
        return read_times(stage)


def time_reads(stage: Stage, at: datetime, calls: int) -> dict[str, Timed]:
    """The feature read of ordinary users of the data, as of the end of the data."""
    with stage.connect() as connection:
        row = connection.execute(
            "SELECT (SELECT array_agg(u.user_id) FROM (SELECT user_id FROM public.transactions"
            "   WHERE is_history AND user_id < %(first)s AND occurred_at > %(since)s"
            "   GROUP BY 1 ORDER BY hashint8(user_id) LIMIT 500) AS u),"
            " (SELECT array_agg(m.merchant_id) FROM (SELECT DISTINCT merchant_id FROM public.transactions"
            "   WHERE merchant_id < %(first)s LIMIT 499) AS m)",
            {"first": OTHERS, "since": at - timedelta(days=30)},
        ).fetchone()
        assert row is not None
        for count in (100, calls):  # the first warms up
            connection.execute("TRUNCATE bench.times")
            connection.execute("CALL bench.time_reads(%s, %s, %s, %s)", [*row, at, count])
    return read_times(stage)


def read_times(stage: Stage) -> dict[str, Timed]:
    with stage.connect() as connection:
        return {row[0]: Timed(*row) for row in connection.execute((SQL / "times.sql").read_bytes())}
