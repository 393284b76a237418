"""The benchmark's database: a durable private server, the handbook's data up to a day, a deployed model."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import SecretStr

from rowguard.local import PostgresServer
from rowguard.operations.importer import load_history
from rowguard.settings import Settings

FILE = "handbook_transactions.parquet"
VARIABLE = "ROWGUARD_BENCHMARK_DATA"


@dataclass(frozen=True)
class Stage:
    """A server and what is loaded into it step by step."""

    server: PostgresServer
    settings: Settings
    url: str

    def connect(self) -> psycopg.Connection:
        connection = psycopg.connect(self.url, autocommit=True)
        connection.execute("SET synchronous_commit = off")
        return connection

    def load(self, rows: pa.Table) -> None:
        load_history(self.url, rows.to_batches(65_536), label_delay=timedelta(days=7), source="benchmark")


@contextmanager
def open_stage() -> Iterator[Stage]:
    """A private server in a temporary directory, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="rowguard-bench-") as folder:
        path = Path(folder)
        path.chmod(0o711)
        server = PostgresServer(path / "postgres", durable=True)
        try:
            url = server.ensure_running()
            settings = Settings(
                database_url=SecretStr(url),
                state_dir=path / "state",
                models_dir=path / "models",
                _env_file=None,
            )
            yield Stage(server, settings, url)
        finally:
            server.destroy()


def data_file(folder: Path | None) -> Path | None:
    """The data's file in the folder given, or in the one that the environment names; None where it is absent."""
    named = os.environ.get(VARIABLE)
    chosen = folder or (Path(named) if named else None)
    return chosen / FILE if chosen and (chosen / FILE).is_file() else None


def read_days(file: Path, days: int | None) -> pa.Table:
    """The data in order of time with instants in UTC, all or the last so many days."""
    rows = pq.read_table(file).sort_by([("occurred_at", "ascending"), ("transaction_id", "ascending")])
    times = pc.cast(rows["occurred_at"], pa.timestamp("us"))
    rows = rows.set_column(
        rows.schema.get_field_index("occurred_at"), "occurred_at", pc.assume_timezone(times, "UTC")
    )
    amounts = pc.cast(pc.round(rows["amount"], 2), pa.decimal128(18, 2))
    rows = rows.set_column(rows.schema.get_field_index("amount"), "amount", amounts)
    rows = rows.set_column(
        rows.schema.get_field_index("is_fraud"), "is_fraud", pc.cast(rows["is_fraud"], pa.bool_())
    )
    return rows if days is None else since(rows, last_day(rows) - timedelta(days=days - 1))


def last_day(rows: pa.Table) -> datetime:
    """Midnight at which the last day begins."""
    last: datetime = pc.max(rows["occurred_at"]).as_py()
    return last.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def since(rows: pa.Table, start: datetime) -> pa.Table:
    return rows.filter(pc.greater_equal(rows["occurred_at"], pa.scalar(start, pa.timestamp("us", "UTC"))))


def before(rows: pa.Table, end: datetime) -> pa.Table:
    return rows.filter(pc.less(rows["occurred_at"], pa.scalar(end, pa.timestamp("us", "UTC"))))
