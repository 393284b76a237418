"""Reading a file to validated batches."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rowguard.declaration import declared
from rowguard.operations.importer.columns import FileSchema, map_columns, transaction_file
from rowguard.operations.importer.files import CsvSource, ParquetSource, RawBatch, open_source
from rowguard.operations.importer.mapped import MappedSource
from rowguard.operations.importer.mapping import ImportMapping, read_mapping
from rowguard.operations.importer.problems import PERSONAL, HistoryFileError, Problems
from rowguard.operations.importer.texts import MAX_FUTURE
from rowguard.operations.importer.values import convert, kind_of


class HistoryFile:
    """An open file; iterate it for validated batches, as often as needed.

    After the first bad row no batch follows, but the rest of the file is checked, and then the error is raised. So
    a loader must load the whole file in one database transaction.

    Attributes:
        file_schema: The canonical columns.
        schema: Arrow schema of every batch; optional columns that the file lacks are null.
        column_mapping: Canonical column → column of the file.
        ignored_columns: Columns of the file that are not loaded.
        rows_read: Rows read so far, bad ones included.
    """

    def __init__(
        self,
        source: ParquetSource | CsvSource | MappedSource,
        schema: FileSchema,
        *,
        column_mapping: Mapping[str, str],
        ignore_unknown: bool,
        now: datetime,
    ) -> None:
        self._source = source
        self.file_schema = schema
        # An archive comes from a database, which may hold labels that are dated ahead.
        latest = datetime.max.replace(tzinfo=UTC) if source.is_archive else now + MAX_FUTURE
        self._kinds = {column.name: kind_of(column, latest) for column in schema.columns}
        self._name = source.path.name
        names = source.column_names
        self.column_mapping = map_columns(
            self._name, names, schema, column_mapping, ignore_unknown=ignore_unknown
        )
        self.ignored_columns = tuple(name for name in names if name not in self.column_mapping.values())
        self.schema = pa.schema(
            [
                pa.field(column.name, self._kinds[column.name].target, not column.is_required)
                for column in schema.columns
            ]
        )
        self.rows_read = 0

    @property
    def rows_left_out(self) -> int:
        """Rows read so far that the mapping leaves out."""
        return self._source.left_out if isinstance(self._source, MappedSource) else 0

    @property
    def fraction_read(self) -> float:
        """The fraction of the file that was read."""
        return self._source.fraction_read()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield validated batches.

        Raises:
            HistoryFileError: A row is bad (raised at the end), or the file is damaged.
        """
        self.rows_read = 0
        problems = Problems()
        keys: list[pa.Table] = []
        for raw in self._source.batches(list(self.column_mapping.values())):
            self.rows_read += len(raw.lines) + len(raw.malformed)
            batch, is_good = self._validate(raw, problems)
            keys.append(self._keys(batch, raw.lines, is_good))
            if len(raw.lines) and not problems.bad_rows:
                yield batch
        if keys and not self._source.is_archive:  # stored rows are unique, and labels may share their time
            self._find_duplicates(pa.concat_tables(keys), problems)
        if problems.bad_rows:
            raise problems.error(self._name, self._source.unit, self.rows_read)
        if not self.rows_read and not self.rows_left_out:
            raise HistoryFileError(f"{self._name}: there are no rows in it")

    def _validate(self, raw: RawBatch, problems: Problems) -> tuple[pa.RecordBatch, list[bool]]:
        """Return the columns in canonical types and whether each row is good; report the bad ones."""
        for malformed in raw.malformed:
            problems.add(None, malformed.reason, [malformed.line], malformed.text)
        is_good = [True] * len(raw.lines)
        columns: dict[str, pa.Array] = {}
        for column in self.file_schema.columns:
            kind = self._kinds[column.name]
            source = self.column_mapping.get(column.name)
            if source is None:
                columns[column.name] = pa.nulls(len(raw.lines), kind.target)
                continue
            columns[column.name], faults = convert(
                column,
                raw.columns[source],
                kind,
                is_exact=self._source.is_archive,
                known=raw.faults.get(column.name),
            )
            for reason, positions in faults.positions.items():
                for position in positions:
                    is_good[position] = False
                lines = [raw.lines[position] for position in positions]
                value = PERSONAL if column.is_personal else faults.examples[reason]
                problems.add(column.name, reason, lines, value)
        problems.bad_rows += len(raw.malformed) + is_good.count(False)
        return pa.RecordBatch.from_arrays(list(columns.values()), schema=self.schema), is_good

    def _keys(self, batch: pa.RecordBatch, lines: object, is_good: list[bool]) -> pa.Table:
        """Return the keys of the good rows, which grow with the file, and their lines."""
        keys = pa.table(
            {name: batch[name] for name in self.file_schema.key} | {"line": pa.array(lines, pa.int64())}
        )
        return keys.filter(
            pc.and_(pa.array(is_good, pa.bool_()), pc.is_valid(batch[self.file_schema.key[0]]))
        )

    def _find_duplicates(self, keys: pa.Table, problems: Problems) -> None:
        """Report the rows that repeat the key of an earlier row."""
        ids = keys[self.file_schema.key[0]].to_numpy()
        if bool((ids[1:] > ids[:-1]).all()):
            return  # as in most files
        groups = keys.group_by(list(self.file_schema.key)).aggregate([("line", "list")])
        groups = groups.filter(pc.greater(pc.list_value_length(groups["line_list"]), 1))
        name = self.file_schema.key[0]
        repeats = sorted(
            (line, earlier, row[name])
            for row in groups.to_pylist()
            for earlier, line in pairwise(sorted(row["line_list"]))
        )
        if repeats:
            _, earlier, value = repeats[0]
            problems.bad_rows += len(repeats)
            problems.add(
                name,
                "repeats an earlier one of the same user",
                [line for line, _, _ in repeats],
                f"{value}, as in {self._source.unit} {earlier:,}",
            )


def read_history(
    path: str | os.PathLike[str],
    schema: FileSchema | None = None,
    *,
    column_mapping: Mapping[str, str] | None = None,
    mapping_file: Path | None = None,
    ignore_unknown: bool = False,
    delimiter: str | None = None,
    now: datetime | None = None,
) -> HistoryFile:
    """Open a file of transactions, labels or profiles.

    Args:
        path: The file; Parquet is recognized by its first bytes or its name, any other file is CSV.
        schema: Of the file; by default transactions with the declared columns.
        column_mapping: Canonical column → column of the file, where they differ.
        mapping_file: Instead of it, a mapping file; other columns are not loaded.
        ignore_unknown: Skip columns that are not loaded instead of rejecting the file. An archive needs no such flag.
        delimiter: Separates the fields of CSV; by default it is found.
        now: Current time, by default the clock's; later times are rejected.

    Returns:
        The open file; its header is checked, its rows are not.

    Raises:
        HistoryFileError: The file cannot be read, or has the wrong columns.
    """
    schema = schema or transaction_file(declared())
    now = now or datetime.now(UTC)
    if mapping_file is not None:
        return _read_mapped(Path(path), schema, read_mapping(mapping_file, schema), delimiter, now)
    mapping = column_mapping or {}
    known = {mapping.get(column.name, column.name) for column in schema.columns}
    source = open_source(Path(path), delimiter=delimiter, known=known)
    return HistoryFile(
        source,
        schema,
        column_mapping=mapping,
        ignore_unknown=ignore_unknown or source.is_archive,
        now=now,
    )


def _read_mapped(
    path: Path, schema: FileSchema, mapping: ImportMapping, delimiter: str | None, now: datetime
) -> HistoryFile:
    options = mapping.file
    names = {name for _, name in mapping.sources()}
    source = open_source(
        path, delimiter=delimiter or options.delimiter, known=names, encoding=options.encoding
    )
    mapped = MappedSource(source, mapping)
    file = HistoryFile(mapped, schema, column_mapping={}, ignore_unknown=False, now=now)
    file.ignored_columns = mapped.ignored_columns
    return file
