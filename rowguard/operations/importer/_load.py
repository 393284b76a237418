"""Load validated batches by COPY, in one transaction, without firing the scoring trigger."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from rowguard.database import connect
from rowguard.errors import ImportFileError, SchemaError
from rowguard.queries import load_queries
from sql_scoring.features.totals import recompute_totals

QUERIES = load_queries("rowguard.operations")
MAX_TRANSACTION_ID = 2**62  # the sequence continues from the highest id
_SCRIPT_OPTIONS = pa.csv.WriteOptions(include_header=False)


@dataclass(frozen=True)
class LoadResult:
    """Number of stored rows."""

    transactions: int
    labels: int
    frauds: int


def load_history(
    url: str,
    batches: Iterable[pa.RecordBatch],
    *,
    label_delay: timedelta,
    source: str,
    on_rows: Callable[[int], None] | None = None,
    on_storing: Callable[[], None] | None = None,
) -> LoadResult:
    """Load transactions and their labels atomically.

    Args:
        url: Address of the database.
        batches: Columns occurred_at, user_id, amount and, where known, transaction_id, merchant_id, location,
            is_fraud and labelled_at. Missing ids are assigned.
        label_delay: A label without a time counts as known this long after its transaction.
        source: Stored with every label.
        on_rows: Called with the number of rows of each batch once it is sent.
        on_storing: Called when all rows are sent. From then to the end, inserts for users of the file wait.

    Returns:
        Number of stored rows.

    Raises:
        ImportFileError: A transaction with that id is already stored; nothing was loaded.
        SchemaError: The database has no rowguard schema.
    """
    transactions = frauds = labels = highest = 0
    # Labels refer to transactions, so they are stored after them.
    label_batches: list[pa.RecordBatch] = []
    with connect(url) as connection:
        # Running totals continue from rows that a snapshot from before the users' locks may not contain.
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        try:
            connection.execute(QUERIES["begin_history_load"])
            connection.execute(QUERIES["create_history_stage"])
            for batch in batches:
                ids = _ids(connection, batch)
                highest = max(highest, _highest_given(batch))
                if highest > MAX_TRANSACTION_ID:
                    raise ImportFileError(
                        f"transaction_id {highest} leaves no ids for new transactions "
                        f"(at most {MAX_TRANSACTION_ID}); nothing was loaded"
                    )
                _copy(connection, "copy_transactions", _transaction_rows(batch, ids))
                transactions += batch.num_rows
                label_batches.append(_label_rows(batch, ids, label_delay, source))
                if on_rows:
                    on_rows(batch.num_rows)
            if on_storing:
                on_storing()
            _store(connection)
            for rows in label_batches:
                _copy(connection, "copy_labels", rows)
                labels += rows.num_rows
                frauds += pc.sum(rows.column("is_fraud")).as_py() or 0
            if highest:
                connection.execute(QUERIES["advance_ids"], {"highest": highest})
        except psycopg.errors.UndefinedTable:
            raise SchemaError from None
        except psycopg.errors.UniqueViolation as error:
            detail = (error.diag.message_detail or str(error)).strip()
            raise ImportFileError(f"already stored: {detail} Nothing was loaded.") from None
        except psycopg.errors.IntegrityError as error:
            raise ImportFileError(f"{error.diag.message_primary}; nothing was loaded") from None
    recompute_totals(url)
    _analyze(url)
    return LoadResult(transactions, labels, frauds)


def load_labels(url: str, batches: Iterable[pa.RecordBatch], *, source: str) -> int:
    """Load labels of stored transactions atomically.

    Args:
        url: Address of the database.
        batches: Columns user_id, transaction_id, is_fraud; optional labelled_at, source.
        source: Stored with labels that have none.

    Returns:
        Number of stored labels.

    Raises:
        ImportFileError: A transaction is not stored; nothing was loaded.
    """
    count = 0
    with connect(url) as connection:
        try:
            row = connection.execute("SELECT now()").fetchone()
            assert row is not None
            for batch in batches:
                _copy(connection, "copy_labels", _given_label_rows(batch, row[0], source))
                count += batch.num_rows
        except psycopg.errors.UndefinedTable:
            raise SchemaError from None
        except psycopg.errors.ForeignKeyViolation as error:
            detail = (error.diag.message_detail or str(error)).strip()
            raise ImportFileError(f"label of an unknown transaction: {detail} Nothing was loaded.") from None
    return count


def load_users(url: str, users: pa.Table) -> None:
    """Insert or update profiles from columns user_id and home_location."""
    with connect(url) as connection:
        connection.execute(QUERIES["create_users_stage"])
        for batch in users.select(["user_id", "home_location"]).to_batches(65_536):
            _copy(connection, "copy_users_stage", batch)
        connection.execute(QUERIES["merge_users"])


def _store(connection: psycopg.Connection) -> None:
    """Store the staged rows; they arrive once no live row of their users can be inserted in between."""
    connection.execute(QUERIES["wait_for_features"])
    row = connection.execute(QUERIES["lock_staged_users"]).fetchone()
    assert row is not None
    connection.execute(QUERIES["store_history"], {"received_at": row[1]})


def _ids(connection: psycopg.Connection, batch: pa.RecordBatch) -> pa.Array:
    given = batch.column("transaction_id") if "transaction_id" in batch.schema.names else None
    missing = batch.num_rows if given is None else given.null_count
    if missing == 0 and given is not None:
        return given
    rows = connection.execute(QUERIES["allocate_ids"], {"count": missing}).fetchall()
    fresh = pa.array([row[0] for row in rows], pa.int64())
    return fresh if given is None else pc.replace_with_mask(given, pc.is_null(given), fresh)


def _highest_given(batch: pa.RecordBatch) -> int:
    """Return the highest id of the file."""
    if "transaction_id" not in batch.schema.names:
        return 0
    return pc.max(batch.column("transaction_id")).as_py() or 0


def _transaction_rows(batch: pa.RecordBatch, ids: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "user_id": batch.column("user_id"),
            "transaction_id": ids,
            "occurred_at": batch.column("occurred_at"),
            "amount": batch.column("amount"),
            "merchant_id": _optional(batch, "merchant_id", pa.int64()),
            "location": _optional(batch, "location", pa.string()),
        }
    )


def _label_rows(batch: pa.RecordBatch, ids: pa.Array, label_delay: timedelta, source: str) -> pa.RecordBatch:
    later = pc.add(batch.column("occurred_at"), pa.scalar(label_delay, pa.duration("us")))
    known = _optional(batch, "labelled_at", pa.timestamp("us", "UTC"))
    rows = pa.RecordBatch.from_pydict(
        {
            "user_id": batch.column("user_id"),
            "transaction_id": ids,
            "is_fraud": _optional(batch, "is_fraud", pa.bool_()),
            "labelled_at": pc.coalesce(known, later),
            "source": pa.repeat(pa.scalar(source), batch.num_rows),
        }
    )
    return rows.filter(pc.is_valid(rows.column("is_fraud")))


def _given_label_rows(batch: pa.RecordBatch, now: datetime, source: str) -> pa.RecordBatch:
    times = _optional(batch, "labelled_at", pa.timestamp("us", "UTC"))
    sources = _optional(batch, "source", pa.string())
    return pa.RecordBatch.from_pydict(
        {
            "user_id": batch.column("user_id"),
            "transaction_id": batch.column("transaction_id"),
            "is_fraud": batch.column("is_fraud"),
            "labelled_at": pc.coalesce(times, pa.scalar(now, pa.timestamp("us", "UTC"))),
            "source": pc.coalesce(sources, pa.scalar(source)),
        }
    )


def _optional(batch: pa.RecordBatch, name: str, kind: pa.DataType) -> pa.Array:
    return batch.column(name) if name in batch.schema.names else pa.nulls(batch.num_rows, kind)


def _copy(connection: psycopg.Connection[Any], script: str, rows: pa.RecordBatch) -> None:
    buffer = io.BytesIO()
    pa.csv.write_csv(rows, buffer, _SCRIPT_OPTIONS)
    with connection.cursor() as cursor, cursor.copy(QUERIES[script]) as copy:
        copy.write(buffer.getbuffer())


def _analyze(url: str) -> None:
    """Refresh statistics: the features are usually built next, before autovacuum runs."""
    # The rows are committed: a failure here is not one of the import.
    with suppress(psycopg.Error), connect(url, autocommit=True) as connection:
        connection.execute(QUERIES["analyze_history"])
