"""Rows into Parquet: written aside, checked, and only then given their name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from rowguard.errors import RetentionError
from rowguard.queries import load_queries

QUERIES = load_queries("rowguard.operations")
_ROWS = 20_000
_TIME = pa.timestamp("us", "UTC")
# Amounts as text: numeric has no bounds that a decimal type of Parquet keeps, and nothing may be rounded.
_SCHEMAS = {
    "transactions": pa.schema(
        [
            ("user_id", pa.int64()),
            ("transaction_id", pa.int64()),
            ("occurred_at", _TIME),
            ("received_at", _TIME),
            ("is_history", pa.bool_()),
            ("amount", pa.string()),
            ("merchant_id", pa.int64()),
            ("location", pa.string()),
            ("idempotency_key", pa.string()),
            ("fraud_flag", pa.string()),
            ("fraud_probability", pa.float64()),
            ("model_version", pa.string()),
            ("scored_at", _TIME),
            ("feature_values", pa.list_(pa.float32())),
            ("unscored_reason", pa.string()),
        ]
    ),
    "labels": pa.schema(
        [
            ("user_id", pa.int64()),
            ("transaction_id", pa.int64()),
            ("label_id", pa.int64()),
            ("is_fraud", pa.bool_()),
            ("labelled_at", _TIME),
            ("source", pa.string()),
        ]
    ),
}


@dataclass(frozen=True)
class ArchivedFile:
    """A file of the archive and what it holds."""

    path: Path
    rows: int
    sha256: str


def archive(
    connection: psycopg.Connection, folder: Path, cut: datetime, expected: Mapping[str, int]
) -> tuple[ArchivedFile, ...]:
    """Write what is doomed; answers the files in the order of `expected`.

    Raises:
        RetentionError: the folder cannot be written to, or a file does not hold what it should; nothing was deleted.
    """
    stamp = f"{cut:%Y%m%d}-{datetime.now(UTC):%Y%m%dT%H%M%S-%f}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tuple(
            _write(connection, folder / f"{name}-before-{stamp}.parquet", name, rows)
            for name, rows in expected.items()
        )
    except OSError as error:
        raise RetentionError(
            f"cannot write to {folder}: {error.strerror or error}; nothing was deleted"
        ) from None


def _write(connection: psycopg.Connection, path: Path, name: str, expected: int) -> ArchivedFile:
    schema = _SCHEMAS[name]
    partial = path.with_suffix(".partial")
    try:
        with connection.transaction(), connection.cursor(f"archive_{name}", binary=True) as cursor:
            cursor.execute(QUERIES[f"select_{name}"])
            with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
                while rows := cursor.fetchmany(_ROWS):
                    columns = list(zip(*rows, strict=True))
                    arrays = [
                        pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)
                    ]
                    writer.write_batch(pa.record_batch(arrays, schema=schema))
        written = pq.ParquetFile(partial).metadata.num_rows
        if written != expected:
            raise RetentionError(
                f"{path.name} holds {written:,} rows instead of {expected:,}; nothing was deleted"
            )
        with partial.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        os.link(partial, path)  # unlike a rename it never takes the place of an archive that is there
    finally:
        partial.unlink(missing_ok=True)
    return ArchivedFile(path, written, digest)
