"""Load validated batches by COPY, in one transaction, without firing the scoring trigger."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from psycopg import sql

from rowguard.database import connect, fetch_one
from rowguard.errors import ImportFileError, SchemaError
from rowguard.queries import load_queries
from sql_scoring.features.totals import recompute_totals
from sql_scoring.jobs import lock_job

QUERIES = load_queries("rowguard.operations")
MAX_TRANSACTION_ID = 2**62  # the sequence continues from the highest id


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
    on_rows: Callable[[], None] = lambda: None,
    on_storing: Callable[[], None] = lambda: None,
) -> LoadResult:
    """Load transactions and their labels atomically.

    Args:
        url: Address of the database.
        batches: Columns occurred_at, user_id, amount and, where known, transaction_id, merchant_id, location,
            is_fraud and labelled_at. Missing ids are assigned.
        label_delay: A label without a time counts as known this long after its transaction.
        source: Stored with every label.
        on_rows: Called when a batch is sent.
        on_storing: Called when all rows are sent. From then to the end, inserts for users of the file wait.

    Returns:
        Number of stored rows.

    Raises:
        ImportFileError: A transaction with that id is already stored; nothing was loaded.
        SchemaError: The database has no rowguard schema.
    """
    with connect(url) as connection, _import_errors():
        # Running totals continue from rows that a snapshot from before the users' locks may not contain.
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        connection.execute(QUERIES["begin_history_load"])
        connection.execute(QUERIES["create_history_stage"])
        for batch in batches:
            _stage_history(connection, batch)
            on_rows()
        transactions, labels, frauds, highest = fetch_one(connection, QUERIES["count_staged"])
        on_storing()
        # Until the commit no features are built: a run would see the rows in some of its models only.
        lock_job(connection, "features", is_shared=True)
        _, received_at = fetch_one(connection, QUERIES["lock_staged_users"])
        connection.execute(QUERIES["store_history"], {"received_at": received_at})
        values = {"delay_s": label_delay.total_seconds(), "source": source}
        connection.execute(QUERIES["store_history_labels"], values)
        connection.execute(QUERIES["advance_ids"], {"highest": highest})
    recompute_totals(url)
    # The rows are committed: a failure here is not one of the import. The features are usually built next, before
    # autovacuum refreshes the statistics.
    with suppress(psycopg.Error), connect(url, autocommit=True) as connection:
        connection.execute(QUERIES["vacuum_transactions"])
    return LoadResult(transactions, labels, frauds)


def load_labels(
    url: str, batches: Iterable[pa.RecordBatch], *, source: str, on_rows: Callable[[], None] = lambda: None
) -> LoadResult:
    """Load labels of stored transactions atomically.

    Args:
        url: Address of the database.
        batches: Columns user_id, transaction_id, is_fraud; optional labelled_at, source.
        source: Stored with labels that have none.
        on_rows: Called when a batch is sent.

    Returns:
        Number of stored labels.

    Raises:
        ImportFileError: A transaction is not stored; nothing was loaded.
    """
    with connect(url) as connection, _import_errors():
        connection.execute(QUERIES["create_labels_stage"])
        for batch in batches:
            _copy(connection, "labels_stage", batch)
            on_rows()
        labels, frauds = fetch_one(connection, QUERIES["store_labels"], {"source": source})
    return LoadResult(0, labels, frauds)


def load_users(url: str, users: pa.Table) -> None:
    """Insert or update profiles from columns user_id and home_location."""
    with connect(url) as connection:
        connection.execute(QUERIES["create_users_stage"])
        for batch in users.select(["user_id", "home_location"]).to_batches(65_536):
            _copy(connection, "users_stage", batch)
        connection.execute(QUERIES["merge_users"])


@contextmanager
def _import_errors() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.UndefinedTable:
        raise SchemaError from None
    except psycopg.errors.UniqueViolation as error:
        raise ImportFileError(f"already stored: {error.diag.message_detail} Nothing was loaded.") from None
    except psycopg.errors.ForeignKeyViolation as error:
        detail = error.diag.message_detail
        raise ImportFileError(f"label of an unknown transaction: {detail} Nothing was loaded.") from None
    except psycopg.errors.IntegrityError as error:
        raise ImportFileError(f"{error.diag.message_primary}; nothing was loaded") from None


def _stage_history(connection: psycopg.Connection, batch: pa.RecordBatch) -> None:
    """Stage rows; those without an id get one by the stage's default."""
    if "transaction_id" not in batch.schema.names:
        _copy(connection, "history_stage", batch)
        return
    ids = batch.column("transaction_id")
    if (pc.max(ids).as_py() or 0) > MAX_TRANSACTION_ID:
        raise ImportFileError(
            f"transaction_id {pc.max(ids)} leaves no ids for new transactions "
            f"(at most {MAX_TRANSACTION_ID}); nothing was loaded"
        )
    has_id = pc.is_valid(ids)
    _copy(connection, "history_stage", batch.filter(has_id))
    _copy(connection, "history_stage", batch.filter(pc.invert(has_id)).drop_columns(["transaction_id"]))


def _copy(connection: psycopg.Connection, table: str, rows: pa.RecordBatch) -> None:
    if not rows.num_rows:
        return
    query = sql.SQL(QUERIES["copy_rows"]).format(
        table=sql.Identifier(table), columns=sql.SQL(", ").join(map(sql.Identifier, rows.schema.names))
    )
    buffer = io.BytesIO()
    pa.csv.write_csv(rows, buffer, pa.csv.WriteOptions(include_header=False))
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        copy.write(buffer.getbuffer())
