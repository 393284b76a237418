"""Archive old transactions and their labels to Parquet, then delete them in small transactions."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from rowguard.database import connect, fetch_one
from rowguard.errors import RetentionError, SchemaError
from rowguard.progress import Progress, silent
from rowguard.queries import in_own_schema, load_queries
from rowguard.settings import settings
from trainer.window import min_window

QUERIES = load_queries("rowguard.operations")
BATCH_ROWS = 10_000
READ_ROWS = 20_000
# Names an archive among Parquet files: an import skips the columns that it does not load.
ARCHIVE_KEY = b"rowguard.archive_of"

# PostgreSQL type → Arrow type. Other types are text: numeric has no bounds that Parquet's decimal could keep.
_TYPES = {
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "boolean": pa.bool_(),
    "double precision": pa.float64(),
    "real": pa.float32(),
    "real[]": pa.list_(pa.float32()),
    "text[]": pa.list_(pa.string()),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
}


@dataclass(frozen=True)
class ArchivedFile:
    """A file of the archive."""

    path: Path
    rows: int
    sha256: str


@dataclass(frozen=True)
class RetentionResult:
    """What was archived and deleted.

    Attributes:
        cutoff: Transactions before it are deleted.
        complete_from: Start of the training set; earlier rows have lost a part of their windows.
        archives: One file of transactions and one of labels; none when there was nothing to delete.
    """

    cutoff: datetime
    complete_from: datetime
    transactions: int
    labels: int
    archives: tuple[ArchivedFile, ...]


def window_days(connection: psycopg.Connection, label_delay_days: int) -> int:
    """Return the days after which windows are complete: the longest lookback or the label delay, and one for clocks.

    Raises:
        SchemaError: The features are not built.
    """
    try:
        (hours,) = fetch_one(connection, QUERIES["longest_window"])
    except psycopg.errors.UndefinedTable:
        raise SchemaError("the features are not built; run: rowguard migrate") from None
    return max(math.ceil((hours or 0) / 24), label_delay_days) + 1


def archive_transactions(
    url: str,
    folder: Path,
    *,
    keep_days: int,
    label_delay_days: int,
    batch_rows: int = BATCH_ROWS,
    progress: Progress = silent,
) -> RetentionResult:
    """Archive and delete transactions older than `keep_days`.

    Rows are deleted only after the archive was checked. A killed run loses nothing, and a second one continues.

    Args:
        url: Address of the database.
        folder: Where the files go.
        keep_days: Days that stay.
        label_delay_days: Days until most frauds are reported.
        batch_rows: Rows per deleting transaction.
        progress: Called with each step.

    Returns:
        What was archived and deleted.

    Raises:
        RetentionError: The days are still needed, another run is active, or the archive is incomplete.
        SchemaError: The schema or the features are missing.
    """
    with connect(url, autocommit=True) as connection:
        windows = window_days(connection, label_delay_days)
        training = min_window(timedelta(days=label_delay_days)).days + 1
        if keep_days < windows + training:
            raise RetentionError(
                f"at least {windows + training} days must be kept: features look back {windows} days, "
                f"and a model trains on {training} days whose windows are complete"
            )
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        cutoff = midnight - timedelta(days=keep_days)
        complete_from = cutoff + timedelta(days=windows)
        if not fetch_one(connection, QUERIES["lock_archive"])[0]:
            raise RetentionError("another archive run is active on this database")
        progress("finding older transactions")
        connection.execute(QUERIES["create_expired"])
        connection.execute(QUERIES["fill_expired"], {"cutoff": cutoff})
        connection.execute(QUERIES["analyze_expired"])
        transactions, labels = fetch_one(connection, QUERIES["count_expired"])
        if not transactions:
            return RetentionResult(cutoff, complete_from, 0, 0, ())
        progress(f"archiving {transactions:,} transactions and {labels:,} labels")
        files = _write_files(
            connection, folder, cutoff, {"transactions": transactions, "fraud_labels": labels}
        )
        values = {
            "cutoff": cutoff,
            "complete_from": complete_from,
            "transactions": transactions,
            "labels": labels,
            "archives": [f"{file.sha256}  {file.path.name}" for file in files],
        }
        (run_id,) = fetch_one(connection, QUERIES["insert_retention_run"], values)
        _delete(connection, transactions, batch_rows, progress)
        for (name,) in connection.execute(QUERIES["training_tables"]).fetchall():
            query = sql.SQL(QUERIES["delete_training"]).format(table=sql.Identifier("features", name))
            connection.execute(query, {"cutoff": cutoff})
        connection.execute(QUERIES["finish_retention_run"], {"run_id": run_id})
        progress("vacuuming")
        connection.execute(QUERIES["vacuum_transactions"])
    return RetentionResult(cutoff, complete_from, transactions, labels, files)


def _delete(connection: psycopg.Connection, total: int, batch_rows: int, progress: Progress) -> None:
    """Delete in small transactions: locks are short and replicas keep up. Labels follow their foreign key."""
    for first in range(1, total + 1, batch_rows):
        last = min(first + batch_rows - 1, total)
        connection.execute(QUERIES["delete_batch"], {"first": first, "last": last})
        if first % (batch_rows * 20) == 1:
            progress(f"deleting: {last:,} of {total:,}")


def _write_files(
    connection: psycopg.Connection, folder: Path, cutoff: datetime, expected: dict[str, int]
) -> tuple[ArchivedFile, ...]:
    stamp = f"{cutoff:%Y%m%d}-{datetime.now(UTC):%Y%m%dT%H%M%S-%f}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tuple(
            _write_table(connection, folder / f"{table}-before-{stamp}.parquet", table, rows)
            for table, rows in expected.items()
        )
    except OSError as error:
        raise RetentionError(
            f"cannot write to {folder}: {error.strerror or error}; nothing was deleted"
        ) from None


def _write_table(connection: psycopg.Connection, path: Path, table: str, expected: int) -> ArchivedFile:
    """Write a partial file, check it, and only then give it its name."""
    query, schema = _select_all(connection, table)
    partial = path.with_suffix(".partial")
    try:
        with connection.transaction(), connection.cursor("archive", binary=True) as cursor:
            cursor.execute(query)
            with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
                while rows := cursor.fetchmany(READ_ROWS):
                    writer.write_batch(_record_batch(rows, schema))
        written = pq.ParquetFile(partial).metadata.num_rows
        if written != expected:
            raise RetentionError(
                f"{path.name} holds {written:,} rows instead of {expected:,}; nothing was deleted"
            )
        with partial.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        os.link(partial, path)  # unlike a rename it never replaces an existing archive
    finally:
        partial.unlink(missing_ok=True)
    return ArchivedFile(path, written, digest)


def _select_all(connection: psycopg.Connection, table: str) -> tuple[sql.Composed, pa.Schema]:
    """Return the query of all stored columns, read from the catalog so that a new column is never dropped."""
    selected: list[sql.Composable] = []
    fields: list[pa.Field] = []
    names = {"table": in_own_schema(f"public.{table}")}
    for name, type_name in connection.execute(QUERIES["archived_columns"], names):
        column = sql.Identifier("t", name)
        selected.append(column if type_name in _TYPES else sql.SQL("{}::text").format(column))
        fields.append(pa.field(name, _TYPES.get(type_name, pa.string())))
    query = sql.SQL(QUERIES["archived_rows"]).format(
        columns=sql.SQL(", ").join(selected), table=sql.Identifier(settings().schema_name, table)
    )
    return query, pa.schema(fields, metadata={ARCHIVE_KEY: table.encode()})


def _record_batch(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
