"""Lists of keys: created, changed, and moved as CSV. The database checks keys and keeps their history."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from rowguard.database import connect, fetch_one
from rowguard.errors import ListError, SchemaError
from rowguard.progress import Progress, silent
from rowguard.queries import load_queries

QUERIES = load_queries("rowguard.operations")
COLUMNS = ("key", "expires_at", "reason")
BATCH_LINES = 20_000
MAX_KEY, MAX_REASON = 256, 500


@dataclass(frozen=True)
class ListImport:
    """How many lines a file had, and how many entries were written: new keys, expiries or reasons."""

    lines: int
    written: int


def create_list(url: str, name: str, column: str, kind: str, description: str = "") -> None:
    """Create a list.

    Args:
        url: Address of the database.
        name: At most 20 characters.
        column: The column whose values are its keys.
        kind: `allow`, `block`, `review` or `other`.
        description: What it is for.

    Raises:
        ListError: The name is taken, or a value is wrong.
    """
    values = {"name": name, "column": column, "kind": kind, "description": description}
    with _writing(url) as connection:
        connection.execute(QUERIES["create_list"], values)


def add_entries(url: str, name: str, entries: Sequence[dict[str, Any]]) -> int:
    """Add keys to a list, or none of them.

    Args:
        url: Address of the database.
        name: The list.
        entries: Objects with `key`, and optionally `expires_at` and `reason`.

    Returns:
        How many entries were written.

    Raises:
        ListError: There is no such list, or a key is wrong.
    """
    with _writing(url) as connection:
        return int(
            fetch_one(connection, QUERIES["add_list_entries"], {"name": name, "entries": Jsonb(entries)})[0]
        )


def remove_entries(url: str, name: str, keys: Sequence[str]) -> int:
    """Remove keys from a list.

    Args:
        url: Address of the database.
        name: The list.
        keys: Values of its column.

    Returns:
        How many were on it.

    Raises:
        ListError: There is no such list, or a key is wrong.
    """
    with _writing(url) as connection:
        return int(
            fetch_one(connection, QUERIES["remove_list_entries"], {"name": name, "keys": list(keys)})[0]
        )


def list_lists(url: str) -> list[dict[str, Any]]:
    """Return all lists, with the number of their current entries."""
    return _rows(url, QUERIES["lists_with_sizes"])


def import_csv(url: str, name: str, file: Path, *, progress: Progress = silent) -> ListImport:
    """Add the keys of a CSV file to a list, in one transaction.

    Args:
        url: Address of the database.
        name: The list.
        file: With a header of `key`, and optionally `expires_at` and `reason`.
        progress: Called with each step.

    Returns:
        Lines and written entries.

    Raises:
        ListError: The file cannot be read, or a line is wrong; names it. Nothing was written.
    """
    lines = written = 0
    with _writing(url) as connection, connection.transaction():
        for batch in _batches(_read(file)):
            try:
                values = {"name": name, "entries": Jsonb([entry for _, entry in batch])}
                with connection.transaction():
                    written += int(fetch_one(connection, QUERIES["add_list_entries"], values)[0])
            except psycopg.errors.InvalidParameterValue:
                raise _find_wrong_line(connection, name, file, batch) from None
            lines += len(batch)
            progress(f"{lines:,} lines")
        connection.execute(QUERIES["analyze_list_entries"])
    return ListImport(lines, written)


def export_csv(url: str, name: str, write: Callable[[bytes], object], *, with_history: bool = False) -> int:
    """Write the entries of a list as CSV.

    Args:
        url: Address of the database.
        name: The list.
        write: Takes each part of the text.
        with_history: Also removed and expired entries, with who and when.

    Returns:
        How many entries were written.

    Raises:
        ListError: There is no such list.
    """
    columns = [*COLUMNS, *(("added_at", "added_by", "removed_at", "removed_by") if with_history else ())]
    rows = 0
    with _writing(url) as connection, connection.cursor("entries") as cursor:
        if connection.execute(QUERIES["has_list"], {"name": name}).fetchone() is None:
            raise ListError(f"there is no list {name}")
        cursor.execute(QUERIES["list_entries"], {"name": name, "with_history": with_history})
        write(_csv([columns]))
        while batch := cursor.fetchmany(BATCH_LINES):
            write(_csv([[_text(value) for value in row[: len(columns)]] for row in batch]))
            rows += len(batch)
    return rows


def _read(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line and entry; a quoted key may hold any character but control characters."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            fields = reader.fieldnames or []
            if (
                "key" not in fields
                or (unknown := set(fields) - set(COLUMNS))
                or len(set(fields)) < len(fields)
            ):
                extra = (
                    f"; {', '.join(sorted(unknown))} is not known here" if "key" in fields and unknown else ""
                )
                raise ListError(
                    f"{file}, line 1: the header must be key, and optionally expires_at, reason{extra}"
                )
            for row in reader:
                yield reader.line_num, _entry(row, f"{file}, line {reader.line_num}")
    except csv.Error as error:
        raise ListError(f"{file}, line {reader.line_num}: {error}") from None
    except UnicodeDecodeError:
        raise ListError(f"{file}: is not UTF-8 text") from None
    except OSError as error:
        raise ListError(f"{file}: cannot be read: {error.strerror}") from None


def _entry(row: dict[str | Any, Any], place: str) -> dict[str, Any]:
    if None in row or None in row.values():
        raise ListError(f"{place}: has another number of values than the header")
    if not 1 <= len(row["key"]) <= MAX_KEY:
        raise ListError(f"{place}: the key does not have 1 to {MAX_KEY} characters")
    if len(row.get("reason") or "") > MAX_REASON:
        raise ListError(f"{place}: the reason has more than {MAX_REASON} characters")
    expires_at = row.get("expires_at") or None
    if expires_at is not None:
        try:
            parsed = datetime.fromisoformat(expires_at)
        except ValueError:
            raise ListError(
                f"{place}: expires_at {expires_at[:40]!r} is no time such as 2027-01-31T12:00Z"
            ) from None
        expires_at = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).isoformat()
    return {"key": row["key"], "expires_at": expires_at, "reason": row.get("reason") or None}


def _batches(entries: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    batch: list[tuple[int, dict[str, Any]]] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == BATCH_LINES:
            yield batch
            batch = []
    if batch:
        yield batch


def _find_wrong_line(
    connection: psycopg.Connection[Any], name: str, file: Path, batch: list[tuple[int, dict[str, Any]]]
) -> ListError:
    """Halve the batch until one line is left, which the database rejects."""
    while len(batch) > 1:
        half = batch[: len(batch) // 2]
        try:
            with connection.transaction():
                values = {"name": name, "entries": Jsonb([entry for _, entry in half])}
                connection.execute(QUERIES["add_list_entries"], values)
            batch = batch[len(half) :]
        except psycopg.errors.InvalidParameterValue:
            batch = half
    ((line, entry),) = batch
    try:
        with connection.transaction():
            connection.execute(QUERIES["add_list_entries"], {"name": name, "entries": Jsonb([entry])})
    except psycopg.errors.InvalidParameterValue as error:
        return ListError(f"{file}, line {line}: {error.diag.message_primary}; nothing was written")
    return ListError(f"{file}: was rejected; nothing was written")


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, datetime) else str(value)


@contextmanager
def _writing(url: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        with connect(url) as connection:
            yield connection
    except (
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedFunction,
        psycopg.errors.InvalidSchemaName,
    ):
        raise SchemaError from None
    except (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.NoDataFound) as error:
        raise ListError(error.diag.message_primary) from None


def _rows(url: str, query: LiteralString, values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    with _writing(url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()
