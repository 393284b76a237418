"""What may go, in which order, and what is remembered of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg import sql

from rowguard.database import connect
from rowguard.errors import RetentionError, SchemaError
from rowguard.operations.archive._archive import ArchivedFile, archive
from rowguard.queries import load_queries

QUERIES = load_queries("rowguard.operations")
BATCH_ROWS = 10_000

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Retention:
    """What went.

    Attributes:
        cut: transactions that occurred before it are gone.
        complete_from: the training set begins here; rows before it have lost a part of their windows.
        archives: one file of transactions and one of labels; none when there was nothing to delete.
    """

    cut: datetime
    complete_from: datetime
    transactions: int
    labels: int
    archives: tuple[ArchivedFile, ...]


def min_keep_days(connection: psycopg.Connection, label_delay_days: int) -> int:
    """The fewest days that must be kept: the longest window of any feature with its delay, or the time until frauds
    are found out, and a day for clocks.

    Raises:
        SchemaError: the features are not built.
    """
    try:
        row = connection.execute(QUERIES["longest_window"]).fetchone()
    except psycopg.errors.UndefinedTable:
        raise SchemaError("the features are not built; run: rowguard migrate") from None
    hours = row[0] if row and row[0] else 0
    return max(math.ceil(hours / 24), label_delay_days) + 1


def retain(
    url: str,
    folder: Path,
    *,
    keep_days: int,
    label_delay_days: int,
    batch_rows: int = BATCH_ROWS,
    progress: Progress = lambda step: None,
) -> Retention:
    """Archive and delete transactions older than `keep_days`.

    Killed at any point it loses nothing: what is deleted was archived and checked before, and a second run goes on
    with what is left.

    Raises:
        RetentionError: what should go is still in a window or not yet labelled, or the archive is not whole.
        SchemaError: the database has no rowguard schema, or no features.
    """
    with connect(url, autocommit=True) as connection:
        least = min_keep_days(connection, label_delay_days)
        if keep_days < least:
            raise RetentionError(
                f"at least {least} days must be kept: features look back and frauds are found out that long"
            )
        cut = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=keep_days)
        complete_from = cut + timedelta(days=least)
        locked = connection.execute(QUERIES["lock_archive"]).fetchone()
        if not (locked and locked[0]):
            raise RetentionError("another run of retain is at work on this database")
        progress("looking for what is older")
        connection.execute(QUERIES["create_doomed"])
        connection.execute(QUERIES["fill_doomed"], {"cut": cut})
        connection.execute(QUERIES["analyze_doomed"])
        row = connection.execute(QUERIES["count_doomed"]).fetchone()
        assert row is not None
        transactions, labels = int(row[0]), int(row[1])
        if not transactions:
            return Retention(cut, complete_from, 0, 0, ())
        progress(f"archiving {transactions:,} transactions and {labels:,} labels")
        files = archive(connection, folder, cut, {"transactions": transactions, "labels": labels})
        run = connection.execute(
            QUERIES["insert_run"],
            {
                "cut": cut,
                "complete_from": complete_from,
                "transactions": transactions,
                "labels": labels,
                "archives": [f"{file.sha256}  {file.path.name}" for file in files],
            },
        ).fetchone()
        assert run is not None
        _delete(connection, transactions, batch_rows, progress)
        for name in _training_tables(connection):
            table = sql.Identifier("features", name)
            connection.execute(sql.SQL(QUERIES["delete_training"]).format(table=table), {"cut": cut})
        connection.execute(QUERIES["finish_run"], {"run_id": run[0]})
        progress("giving the space back to new rows")
        connection.execute(QUERIES["vacuum_transactions"])
    return Retention(cut, complete_from, transactions, labels, files)


def _delete(connection: psycopg.Connection, total: int, batch_rows: int, progress: Progress) -> None:
    """Small transactions, so that no lock is held long and replicas keep up; labels go by their foreign key."""
    for first in range(1, total + 1, batch_rows):
        connection.execute(QUERIES["delete_batch"], {"first": first, "last": first + batch_rows - 1})
        if first % (batch_rows * 20) == 1:
            progress(f"deleting: {min(first + batch_rows - 1, total):,} of {total:,}")


def _training_tables(connection: psycopg.Connection) -> list[str]:
    return [name for (name,) in connection.execute(QUERIES["training_tables"]).fetchall()]
