"""Reading a file to validated batches."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rowguard.operations.importer.arrays import Mask, null_mask, value_at
from rowguard.operations.importer.columns import UnreadableColumnError, convert
from rowguard.operations.importer.csv_file import CsvSource
from rowguard.operations.importer.parquet_file import ParquetSource, RawBatch
from rowguard.operations.importer.problems import PROBLEM_LIMIT, HistoryFileError, Problems, shown
from rowguard.operations.importer.schema import LABELS, TRANSACTIONS, FileSchema, map_columns

_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_MISSING = np.iinfo(np.int64).min


class HistoryFile:
    """An open file of transactions or labels; iterate it for validated batches, as often as needed.

    After the first bad row no batch follows, but the rest of the file is checked, and then the error is raised. So
    a loader must load the whole file in one database transaction.

    Attributes:
        schema: Arrow schema of every batch; optional columns that the file lacks are null.
        column_mapping: Canonical column → column of the file.
        ignored_columns: Columns of the file that are not loaded.
        rows_read: Rows read so far, bad ones included.
    """

    def __init__(
        self,
        source: ParquetSource | CsvSource,
        schema: FileSchema,
        *,
        column_mapping: Mapping[str, str],
        ignore_unknown: bool,
        now: datetime,
    ) -> None:
        self._source = source
        self._canonical = schema
        self._now = now
        self._name = source.path.name
        names = source.column_names
        self.column_mapping = map_columns(
            self._name, names, schema, column_mapping, ignore_unknown=ignore_unknown
        )
        self.ignored_columns = tuple(name for name in names if name not in self.column_mapping.values())
        self.schema = pa.schema(
            [pa.field(column.name, column.kind.value, not column.required) for column in schema.columns]
        )
        self.rows_read = 0

    @property
    def fraction_read(self) -> float:
        """The fraction of the file that was read."""
        return self._source.fraction_read()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield validated batches.

        Raises:
            HistoryFileError: A row is bad (raised at the end), the file is damaged, or a column has a wrong type.
        """
        self.rows_read = 0
        problems = Problems()
        keys: list[list[NDArray[np.int64]]] = []
        for raw in self._source.batches(list(self.column_mapping.values())):
            self.rows_read += len(raw.lines) + len(raw.malformed)
            columns, is_bad = self._validate(raw, problems)
            keys.append(self._keys(columns, raw.lines, is_bad))
            if len(raw.lines) and not problems.bad_rows:
                yield pa.RecordBatch.from_arrays(list(columns.values()), schema=self.schema)
        self._find_duplicates(keys, problems)
        if problems.bad_rows:
            raise problems.error(self._name, self._source.unit, self.rows_read)
        if not self.rows_read:
            raise HistoryFileError(f"{self._name}: there are no rows in it")

    def _validate(self, raw: RawBatch, problems: Problems) -> tuple[dict[str, pa.Array], Mask]:
        """Return the columns in canonical types and a mask of the bad rows; report these."""
        for bad in raw.malformed:
            problems.add(None, bad.reason, 1, [(bad.line, bad.reason, bad.text)])
        is_bad = np.zeros(len(raw.lines), dtype=np.bool_)
        columns: dict[str, pa.Array] = {}
        for column in self._canonical.columns:
            source = self.column_mapping.get(column.name)
            if source is None:
                columns[column.name] = pa.nulls(len(raw.lines), column.kind.value)
                continue
            values = raw.columns[source]
            try:
                columns[column.name], faults = convert(column, values, self._now)
            except UnreadableColumnError as error:
                raise HistoryFileError(f"{self._name}: the column {shown(source)} {error}") from None
            for reason, mask in faults.items():
                is_bad |= mask
                first = np.flatnonzero(mask)[:PROBLEM_LIMIT].tolist()
                examples = [(int(raw.lines[index]), reason, value_at(values, index)) for index in first]
                problems.add(column.name, reason, int(np.count_nonzero(mask)), examples)
        problems.bad_rows += len(raw.malformed) + int(np.count_nonzero(is_bad))
        return columns, is_bad

    def _keys(
        self, columns: dict[str, pa.Array], lines: NDArray[np.int64], is_bad: Mask
    ) -> list[NDArray[np.int64]]:
        """Return the keys of the good rows, which grow with the file, and their lines."""
        has_key = ~null_mask(columns["transaction_id"]) & ~is_bad
        numbers = [columns[name].view(pa.int64()) for name in self._canonical.key]
        keys = [pc.fill_null(column, _MISSING).to_numpy(zero_copy_only=False) for column in numbers]
        return [key[has_key] for key in [*keys, lines]]

    def _find_duplicates(self, keys: list[list[NDArray[np.int64]]], problems: Problems) -> None:
        """Report the rows that repeat the key of an earlier row."""
        if not keys:
            return
        *columns, lines = (np.concatenate(parts) for parts in zip(*keys, strict=True))
        ids = columns[self._canonical.key.index("transaction_id")]
        # Most files are sorted by their ids: then nothing repeats.
        if bool(np.all(ids[1:] > ids[:-1])):
            return
        order = np.lexsort((lines, *reversed(columns)))
        repeats = np.logical_and.reduce([np.diff(column[order]) == 0 for column in columns])
        positions = np.flatnonzero(repeats) + 1
        if not len(positions):
            return
        earliest = positions[np.argsort(lines[order[positions]], kind="stable")][:PROBLEM_LIMIT]
        examples = [
            (
                int(lines[order[position]]),
                f"repeats the one of {self._source.unit} {lines[order[position - 1]]:,} for the same user",
                int(ids[order[position]]),
            )
            for position in earliest.tolist()
        ]
        problems.bad_rows += len(positions)
        problems.add("transaction_id", "repeats an earlier one of the same user", len(positions), examples)


def read_history(
    path: str | os.PathLike[str],
    *,
    column_mapping: Mapping[str, str] | None = None,
    ignore_unknown: bool = False,
    now: datetime | None = None,
    schema: FileSchema = TRANSACTIONS,
) -> HistoryFile:
    """Open a file of transactions, or of another schema.

    Args:
        path: The file; Parquet is recognized by its first bytes or its name, any other file is CSV.
        column_mapping: Canonical column → column of the file, where they differ.
        ignore_unknown: Skip columns that are not loaded instead of rejecting the file. An archive needs no such flag.
        now: Current time, by default the clock's; later times are rejected.
        schema: The canonical columns.

    Returns:
        The open file; its header is checked, its rows are not.

    Raises:
        HistoryFileError: The file cannot be read, or has the wrong columns.
    """
    source = _open(Path(path))
    return HistoryFile(
        source,
        schema,
        column_mapping=column_mapping or {},
        ignore_unknown=ignore_unknown or source.is_archive,
        now=now or datetime.now(UTC),
    )


def read_labels(
    path: str | os.PathLike[str],
    *,
    column_mapping: Mapping[str, str] | None = None,
    ignore_unknown: bool = False,
    now: datetime | None = None,
) -> HistoryFile:
    """Open a file of labels: user_id, transaction_id, is_fraud; optional labelled_at, source. See `read_history`."""
    return read_history(
        path, column_mapping=column_mapping, ignore_unknown=ignore_unknown, now=now, schema=LABELS
    )


def _open(path: Path) -> ParquetSource | CsvSource:
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
        raise HistoryFileError(f"{path.name}: the file is empty")
    for magic, kind in _COMPRESSED.items():
        if start.startswith(magic):
            raise HistoryFileError(f"{path.name}: is compressed with {kind}; unpack it first")
    is_parquet = start.startswith(b"PAR1") or path.suffix.lower() in (".parquet", ".pq")
    return (ParquetSource if is_parquet else CsvSource)(path)
