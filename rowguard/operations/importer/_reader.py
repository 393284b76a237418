"""Reading a file to validated batches."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from rowguard.operations.importer._arrow import Mask, value_at
from rowguard.operations.importer._columns import resolve
from rowguard.operations.importer._convert import Fault, TimeLimits, UnreadableColumnError, convert
from rowguard.operations.importer._csv import CsvSource
from rowguard.operations.importer._duplicates import Keys
from rowguard.operations.importer._errors import HistoryFileError, Problems, RowProblem, shown
from rowguard.operations.importer._parquet import ParquetSource
from rowguard.operations.importer._schema import LABELS, TRANSACTIONS, FileSchema
from rowguard.operations.importer._source import RawBatch, Source

FileFormat = Literal["parquet", "csv"]

_SUFFIXES: dict[str, FileFormat] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
}
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
DEFAULT_MAX_FUTURE = timedelta(days=1)
DEFAULT_PROBLEM_LIMIT = 20


class HistoryFile:
    """An open file of transactions or labels; iterate it for validated batches, as often as needed.

    After the first bad row no batch follows, but the rest of the file is checked, and then the error is raised. So
    a loader must load the whole file in one database transaction.

    Attributes:
        path: The file.
        schema: Arrow schema of every batch; optional columns that the file lacks are null.
        rows: Number of rows if known beforehand (Parquet), else None.
        column_mapping: Canonical column → column of the file.
        ignored_columns: Columns of the file that are not loaded.
        rows_read: Rows read so far, bad ones included.
    """

    def __init__(
        self,
        source: Source,
        schema: FileSchema,
        *,
        column_mapping: Mapping[str, str],
        ignore_unknown: bool,
        limits: TimeLimits,
        problem_limit: int,
    ) -> None:
        self._source = source
        self._canonical = schema
        self._limits = limits
        self._problem_limit = problem_limit
        name = source.path.name
        resolved = resolve(name, source.column_names, schema, column_mapping, ignore_unknown=ignore_unknown)
        if source.rows == 0:
            raise HistoryFileError(f"{name}: there are no rows in it")
        self.path = source.path
        self.schema: pa.Schema = schema.arrow
        self.rows = source.rows
        self.column_mapping = resolved.sources
        self.ignored_columns = resolved.ignored
        self.rows_read = 0

    @property
    def fraction_read(self) -> float:
        """The fraction of the file that was read, where `rows` is unknown."""
        return self._source.fraction_read()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield validated batches.

        Raises:
            HistoryFileError: A row is bad (raised at the end), the file is damaged, or a column has a wrong type.
        """
        self.rows_read = 0
        problems = Problems(self._problem_limit)
        keys = Keys(self._canonical)
        for raw in self._source.batches(list(self.column_mapping.values())):
            self.rows_read += len(raw.lines) + len(raw.malformed)
            batch, is_bad = self._validated(raw, problems)
            keys.add(batch, raw.lines, is_bad)
            if batch.num_rows and not problems:
                yield batch
        self._find_duplicates(keys, problems)
        if problems:
            raise problems.error(self.path.name, self._source.unit, self.rows_read)
        if not self.rows_read:
            raise HistoryFileError(f"{self.path.name}: there are no rows in it, only names of columns")

    def _validated(self, raw: RawBatch, problems: Problems) -> tuple[pa.RecordBatch, Mask]:
        """Return the batch in canonical types and a mask of its bad rows; report these."""
        examples = [RowProblem(bad.line, None, bad.reason, shown(bad.text)) for bad in raw.malformed]
        for bad in raw.malformed:
            problems.count(None, bad.reason, 1)
        is_bad = np.zeros(len(raw.lines), dtype=np.bool_)
        columns: list[pa.Array] = []
        for column in self._canonical.columns:
            source = self.column_mapping.get(column.name)
            if source is None:
                columns.append(pa.nulls(len(raw.lines), column.kind.value))
                continue
            values = raw.columns[source]
            try:
                converted = convert(column, values, self._limits)
            except UnreadableColumnError as error:
                raise HistoryFileError(f"{self.path.name}: the column {shown(source)} {error}") from None
            columns.append(converted.values)
            for fault in converted.faults:
                is_bad |= fault.mask
                problems.count(column.name, fault.reason, int(np.count_nonzero(fault.mask)))
                examples += self._examples(column.name, fault, values, raw)
        problems.bad_rows += len(raw.malformed) + int(np.count_nonzero(is_bad))
        if examples:
            problems.add_examples(examples)
        schema = _nullable(self.schema) if is_bad.any() else self.schema
        return pa.RecordBatch.from_arrays(columns, schema=schema), is_bad

    def _examples(self, column: str, fault: Fault, values: pa.Array, raw: RawBatch) -> list[RowProblem]:
        first = np.flatnonzero(fault.mask)[: self._problem_limit]
        return [
            RowProblem(int(raw.lines[index]), column, fault.reason, shown(value_at(values, index)))
            for index in first.tolist()
        ]

    def _find_duplicates(self, keys: Keys, problems: Problems) -> None:
        total, first = keys.duplicates(self._problem_limit)
        if not total:
            return
        column = self._canonical.key_if
        position = self._canonical.key.index(column)
        unit = self._source.unit
        problems.bad_rows += total
        problems.count(column, "repeats an earlier one of the same user", total)
        problems.add_examples(
            [
                RowProblem(
                    duplicate.line,
                    column,
                    f"repeats the one of {unit} {duplicate.first_line:,} for the same user",
                    str(duplicate.key[position]),
                )
                for duplicate in first
            ]
        )


def _nullable(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in schema])


def read_history(
    path: str | os.PathLike[str],
    *,
    column_mapping: Mapping[str, str] | None = None,
    format: FileFormat | None = None,
    ignore_unknown: bool = False,
    max_future: timedelta = DEFAULT_MAX_FUTURE,
    now: datetime | None = None,
    problem_limit: int = DEFAULT_PROBLEM_LIMIT,
    schema: FileSchema = TRANSACTIONS,
) -> HistoryFile:
    """Open a file of transactions, or of another schema.

    Args:
        path: The file.
        column_mapping: Canonical column → column of the file, where they differ.
        format: "parquet" or "csv"; by default from the first bytes and the name.
        ignore_unknown: Skip columns that are not loaded instead of rejecting the file. An archive needs no such flag.
        max_future: How far a time may be ahead of `now`.
        now: Current time, by default the clock's.
        problem_limit: How many bad rows the error lists; all are counted.
        schema: The canonical columns; those of labels for `read_labels`.

    Returns:
        The open file; its header is checked, its rows are not.

    Raises:
        HistoryFileError: The file cannot be read, or has the wrong columns.
    """
    file = Path(path)
    source = (ParquetSource if _format_of(file, format) == "parquet" else CsvSource)(file)
    current = datetime.now(UTC) if now is None else now
    current = current.replace(tzinfo=UTC) if current.tzinfo is None else current
    days = max_future / timedelta(days=1)
    too_late = f"is more than {days:g} {'day' if days == 1 else 'days'} in the future"
    return HistoryFile(
        source,
        schema,
        column_mapping=column_mapping or {},
        ignore_unknown=ignore_unknown or source.is_archive,
        limits=TimeLimits(current + max_future, too_late),
        problem_limit=max(1, problem_limit),
    )


def read_labels(path: str | os.PathLike[str], **options: Any) -> HistoryFile:
    """Open a file of labels: user_id, transaction_id, is_fraud; optional labelled_at, source. See `read_history`."""
    return read_history(path, schema=LABELS, **options)


def _format_of(path: Path, file_format: FileFormat | None) -> FileFormat:
    """Return the given format, or that of the first bytes, or of the suffix."""
    name = path.name or str(path)
    if file_format not in (None, "parquet", "csv"):
        raise HistoryFileError(f"unknown format {shown(file_format)}; known are parquet and csv")
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except FileNotFoundError:
        raise HistoryFileError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise HistoryFileError(f"{path}: is a directory; name one file in it") from None
    except OSError as error:
        raise HistoryFileError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not start:
        raise HistoryFileError(f"{name}: the file is empty")
    if file_format:
        return file_format
    for magic, kind in _COMPRESSED.items():
        if start.startswith(magic):
            raise HistoryFileError(f"{name}: is compressed with {kind}; unpack it first")
    if start.startswith(b"PAR1"):
        return "parquet"
    return _SUFFIXES.get(path.suffix.lower(), "csv")
