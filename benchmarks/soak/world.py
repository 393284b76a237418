"""The server of the soak test, and the rows loaded before it starts: by the product's import, in order of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from benchmarks.inserts.run import prepare
from rowguard.local import PostgresServer
from rowguard.operations.importer import load_history
from rowguard.settings import Settings
from sql_scoring.deployment.migrate import migrate

DAYS = 400
ROWS_PER_LOAD = 1_000_000
ROWS_PER_BATCH = 100_000
ROWS_PER_USER = 100
LABEL_DELAY = timedelta(days=7)
EMPTY = "soak_empty"

Say = Callable[[str], None]


@dataclass(frozen=True)
class World:
    """One durable server in `folder` with a database for every size of the table; reused by later runs."""

    folder: Path

    @property
    def server(self) -> PostgresServer:
        return PostgresServer(self.folder / "postgres", durable=True)

    def url(self, size: int) -> str:
        return make_conninfo(self.server.url, dbname=f"soak_{size}")

    def settings(self, url: str) -> Settings:
        return Settings(
            database_url=SecretStr(url),
            state_dir=self.folder / "state",
            models_dir=self.folder / "models",
            _env_file=None,
        )


def users_of(size: int) -> int:
    """Users of a table of `size` rows: a hundred rows each in 400 days at any size."""
    return max(10, size // ROWS_PER_USER)


def build(world: World, sizes: list[int], say: Say) -> None:
    """Create a database for each size with the same model and features; existing ones are reused."""
    world.folder.mkdir(parents=True, exist_ok=True)
    world.folder.chmod(0o711)
    world.server.ensure_running()
    if EMPTY not in _databases(world):
        say("training history and champion")
        prepare(world.server.url, world.folder)
        with psycopg.connect(world.server.url, autocommit=True) as connection:
            connection.execute("TRUNCATE transactions, users, scoring.users_history CASCADE")
            connection.execute("DROP TABLE bench_plain, bench_noop")
        _copy(world, "rowguard", EMPTY)
    for size in sorted(sizes):
        if f"soak_{size}" not in _databases(world):
            _copy(world, EMPTY, f"soak_{size}")
        fill(world, size, say)


def fill(world: World, size: int, say: Say) -> None:
    """Load the missing rows in order of time; an interrupted run continues."""
    url = world.url(size)
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT count(*), max(occurred_at) FROM transactions").fetchone()
    assert row is not None
    if row[0] < size:
        _load(world, url, size, int(row[0]), row[1], say)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")


def _load(world: World, url: str, size: int, stored: int, newest: datetime | None, say: Say) -> None:
    # Late rows of the load must not fall into the loaded history, or a dbt test on it fails.
    end = datetime.now(UTC) - timedelta(hours=1)
    start = newest or end - timedelta(days=DAYS)
    missing = size - stored
    step = (end - start) / missing
    for first in range(0, missing, ROWS_PER_LOAD):
        rows = min(ROWS_PER_LOAD, missing - first)
        say(f"{size:,} rows: {stored + first:,} loaded")
        batches = _batches(start + first * step, start + (first + rows) * step, rows, users_of(size))
        load_history(url, batches, label_delay=LABEL_DELAY, source="bench")
    say(f"{size:,} rows: features")
    migrate(url, world.settings(url))


def _batches(start: datetime, end: datetime, rows: int, users: int) -> Iterator[pa.RecordBatch]:
    """Batches with skewed users: the busiest of a million has a thousand times the rows of the median one."""
    rng = np.random.default_rng(int(start.timestamp()))
    length = (end - start) / rows
    for first in range(0, rows, ROWS_PER_BATCH):
        count = min(ROWS_PER_BATCH, rows - first)
        offsets = (first + np.sort(rng.uniform(0, count, count))) * (length / timedelta(microseconds=1))
        begin = np.datetime64(start.replace(tzinfo=None), "us")
        yield pa.record_batch(
            {
                "occurred_at": pa.array(
                    begin + offsets.astype("timedelta64[us]"), pa.timestamp("us", tz="UTC")
                ),
                "user_id": pa.array(1 + (users * rng.uniform(0, 1, count) ** 2).astype(np.int64)),
                "amount": pa.array(np.round(rng.lognormal(3, 1, count), 2).astype(str)).cast(
                    pa.decimal128(18, 4)
                ),
                "merchant_id": pa.array(rng.integers(1, 1000, count)),
                "location": pa.array(rng.choice(["DE", "FR", "IT", "US"], count)),
                "is_fraud": pa.array(rng.random(count) < 0.005),
            }
        )


def _databases(world: World) -> set[str]:
    with world.server.connect() as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall()}


def _copy(world: World, template: str, name: str) -> None:
    with world.server.connect("postgres") as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
