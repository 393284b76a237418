"""Load validated batches by COPY, in one transaction, without firing the scoring trigger."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from psycopg import sql

from rowguard.database import connect, fetch_one
from rowguard.declaration import declared
from rowguard.errors import ImportFileError, SchemaError
from rowguard.operations.importer.columns import (
    Column,
    FileSchema,
    label_file,
    labels_by,
    reference_file,
    transaction_file,
)
from rowguard.queries import load_queries
from sql_scoring.features.totals import recompute_totals
from sql_scoring.jobs import lock_job

QUERIES = load_queries("rowguard.operations")
MAX_TRANSACTION_ID = 2**62  # the sequence continues from the highest id
# Columns of a file of transactions that are not stored on the row.
_LABEL_COLUMNS = ("is_fraud", "labelled_at")


@dataclass(frozen=True)
class LoadResult:
    """Number of stored rows."""

    transactions: int = 0
    labels: int = 0
    frauds: int = 0
    references: int = 0


def export_query(url: str, query: str, path: Path) -> None:
    """Write the rows of a query to a CSV file, so that they are checked as every other file is.

    Args:
        url: Address of the database.
        query: A SELECT; it cannot change anything.
        path: The file.

    Raises:
        ImportFileError: The query fails.
    """
    copy_rows = sql.SQL(QUERIES["export_query"]).format(query=sql.SQL(query.strip().rstrip(";")))
    with connect(url) as connection, path.open("wb") as file:
        connection.read_only = True
        try:
            connection.execute(QUERIES["plain_times"])
            with connection.cursor() as cursor, cursor.copy(copy_rows) as copy:
                for block in copy:
                    file.write(block)
        except psycopg.Error as error:
            raise ImportFileError(f"the query fails: {error.diag.message_primary or error}") from None


def load_history(
    url: str,
    batches: Iterable[pa.RecordBatch],
    *,
    label_delay: timedelta,
    source: str,
    on_rows: Callable[[], None] = lambda: None,
    on_storing: Callable[[], None] = lambda: None,
    schema: FileSchema | None = None,
) -> LoadResult:
    """Load transactions and their labels atomically.

    No user waits: a loaded user's running totals are pending, so live features are read with a row scan, until they
    are recomputed for a few users at a time. An interrupted recomputation is continued by the next build of features.

    Args:
        url: Address of the database.
        batches: Columns of `schema`, where known. Missing ids are assigned.
        label_delay: A label without a time counts as known this long after its transaction.
        source: Stored with every label.
        on_rows: Called when a batch is sent.
        on_storing: Called when all rows are sent.
        schema: Of the batches; by default transactions with the declared columns.

    Returns:
        Number of stored rows.

    Raises:
        ImportFileError: A transaction with that id is already stored; nothing was loaded.
        SchemaError: The database has no rowguard schema.
    """
    schema = schema or transaction_file(declared())
    stored = [column for column in schema.columns if column.name not in _LABEL_COLUMNS]
    store = sql.SQL(QUERIES["store_history"]).format(
        columns=sql.SQL(", ").join(sql.Identifier(column.name) for column in stored),
        values=sql.SQL(", ").join(map(_stored_value, stored)),
    )
    with connect(url) as connection, _import_errors():
        connection.execute(QUERIES["begin_history_load"])
        _stage(connection, schema, batches, on_rows)
        transactions, labels, frauds, highest = fetch_one(connection, QUERIES["count_staged"])
        if highest > MAX_TRANSACTION_ID:
            raise ImportFileError(
                f"transaction_id {highest} leaves no ids for new transactions "
                f"(at most {MAX_TRANSACTION_ID}); nothing was loaded"
            )
        on_storing()
        # Until the commit no features are built: a run would see the rows in some of its models only.
        lock_job(connection, "features", is_shared=True)
        connection.execute(store)
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
    url: str,
    batches: Iterable[pa.RecordBatch],
    *,
    source: str,
    join: str | None = None,
    on_rows: Callable[[], None] = lambda: None,
) -> LoadResult:
    """Load labels of stored transactions atomically.

    Args:
        url: Address of the database.
        batches: Columns of a file of labels, where known.
        source: Stored with labels that have none.
        join: Column of transactions that names the transaction of a label instead of its id; see `labels_by`.
        on_rows: Called when a batch is sent.

    Returns:
        Number of stored labels.

    Raises:
        ImportFileError: A transaction is not stored, or `join` fits several; nothing was loaded.
    """
    schema = label_file(declared())
    if join is not None:
        schema = labels_by(schema, join)
    with connect(url) as connection, _import_errors():
        _stage(connection, schema, batches, on_rows)
        if join is not None:
            _find_transactions(connection, join)
        labels, frauds = fetch_one(connection, QUERIES["store_labels"], {"source": source})
    return LoadResult(labels=labels, frauds=frauds)


def _find_transactions(connection: psycopg.Connection, join: str) -> None:
    """Give each staged label the id of its transaction."""
    names = {"column": sql.Identifier(join)}
    connection.execute(QUERIES["add_staged_id"])
    try:
        bad = connection.execute(sql.SQL(QUERIES["unjoined_labels"]).format(**names)).fetchall()
    except psycopg.errors.UndefinedColumn:
        raise ImportFileError(f"transactions have no column {join} to join labels by") from None
    if bad:
        rows, value, matches = bad[0]
        reason = "of unknown transactions" if matches == 0 else "that fit several transactions"
        raise ImportFileError(f"{rows:,} labels {reason}: {join} {value}; nothing was loaded")
    connection.execute(sql.SQL(QUERIES["join_labels"]).format(**names))


def load_reference(
    url: str, batches: Iterable[pa.RecordBatch], table: str, *, on_rows: Callable[[], None] = lambda: None
) -> LoadResult:
    """Insert or update the rows of a reference table atomically.

    Args:
        url: Address of the database.
        batches: Its key and columns.
        table: Its name, as features.yml declares it.
        on_rows: Called when a batch is sent.

    Returns:
        Number of rows that were inserted or changed.

    Raises:
        HistoryFileError: The table is not declared.
    """
    schema = reference_file(declared(), table)
    key, *columns = [sql.Identifier(column.name) for column in schema.columns]

    def listed(pattern: str) -> sql.Composable:
        return sql.SQL(", ").join(sql.SQL(pattern).format(column) for column in columns)

    store = sql.SQL(QUERIES["store_reference"]).format(
        table=sql.Identifier(table),
        key=key,
        columns=listed("{}"),
        staged=listed("s.{}"),
        assigned=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(column) for column in columns),
        current=listed("r.{}"),
        new=listed("excluded.{}"),
    )
    with connect(url) as connection, _import_errors():
        _stage(connection, schema, batches, on_rows)
        return LoadResult(references=connection.execute(store).rowcount)


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


def _stage(
    connection: psycopg.Connection,
    schema: FileSchema,
    batches: Iterable[pa.RecordBatch],
    on_rows: Callable[[], None],
) -> None:
    """Copy batches to the temporary table `stage`, until all rows are known."""
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(_sql_type(column)))
        for column in schema.columns
    ]
    connection.execute(sql.SQL(QUERIES["create_stage"]).format(columns=sql.SQL(", ").join(columns)))
    if schema.name == "transactions":
        connection.execute(QUERIES["assign_staged_ids"])
    names = {column.name for column in schema.columns}
    for batch in batches:
        batch = batch.select([name for name in batch.schema.names if name in names])
        if schema.name == "transactions" and "transaction_id" in batch.schema.names:
            has_id = pc.is_valid(batch["transaction_id"])
            _copy(connection, batch.filter(has_id))
            batch = batch.filter(pc.invert(has_id)).drop_columns(["transaction_id"])
        _copy(connection, batch)
        on_rows()


def _stored_value(column: Column) -> sql.Composable:
    name = sql.Identifier("s", column.name)
    # The stage has every decimal; stored are two unless there are more.
    return (
        sql.SQL("round({0}, greatest(2, min_scale({0})))").format(name) if column.type == "amount" else name
    )


def _sql_type(column: Column) -> str:
    return "numeric" if column.type == "amount" else column.type


def _copy(connection: psycopg.Connection, rows: pa.RecordBatch) -> None:
    if not rows.num_rows:
        return
    query = sql.SQL(QUERIES["copy_rows"]).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, rows.schema.names))
    )
    buffer = io.BytesIO()
    pa.csv.write_csv(rows, buffer, pa.csv.WriteOptions(include_header=False))
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        copy.write(buffer.getbuffer())
