"""The CSV format: every field as raw bytes first, so that a bad one can be shown with its line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from rowguard.operations.importer.arrays import null_mask
from rowguard.operations.importer.parquet_file import MalformedRow, RawBatch
from rowguard.operations.importer.problems import HistoryFileError

BLOCK_BYTES = 4 * 1024 * 1024
_MAX_HEADER = 64 * 1024
_DELIMITERS = ",;\t|"


class CsvSource:
    """A CSV file with a header line; lines are counted from 1.

    The separator is comma, semicolon, tab or bar: the most frequent one of the header. Empty lines are skipped.
    """

    unit = "line"
    is_archive = False

    def __init__(self, path: Path) -> None:
        """Read the header; HistoryFileError when it is missing or not UTF-8 text."""
        self.path = path
        self._size = path.stat().st_size
        self._read = 0
        header = self._header()
        self._delimiter = max(_DELIMITERS, key=header.count)
        self.column_names = [
            name.strip() for name in next(csv.reader([header], delimiter=self._delimiter), [])
        ]
        if not any(self.column_names):
            raise HistoryFileError(f"{path.name}: the first line is empty; it must name the columns")
        if "" in self.column_names:
            number = self.column_names.index("") + 1
            raise HistoryFileError(f"{path.name}: column {number} has no name in the first line")

    def _header(self) -> str:
        with self.path.open("rb") as file:
            line = file.readline(_MAX_HEADER)
            self._is_header_only = not file.read(1)
        line = line.removeprefix(b"\xef\xbb\xbf")
        if line.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in line:
            raise HistoryFileError(f"{self.path.name}: not text in UTF-8 (UTF-16, or no text at all)")
        if len(line) >= _MAX_HEADER - 3:
            raise HistoryFileError(f"{self.path.name}: the first line is longer than 64 KiB; is this CSV?")
        if line.count(b'"') % 2:
            raise HistoryFileError(f"{self.path.name}: line 1: a quote is opened and not closed")
        try:
            return line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise HistoryFileError(f"{self.path.name}: line 1 is not UTF-8 text") from None

    def batches(self, columns: list[str]) -> Iterator[RawBatch]:
        """Yield batches of all columns; HistoryFileError when a line is too long or the file cannot be read."""
        self._read = 0
        if self._is_header_only:
            return  # Arrow cannot skip a line that does not end
        lines = _Lines(len(self.column_names))
        try:
            with self.path.open("rb") as file:
                yield from self._parse(file, lines)
        except (pa.ArrowException, OSError) as error:
            if "straddl" in str(error):
                reason = "a row is longer than 4 MiB; is a quote opened and not closed?"
            else:
                reason = f"cannot be read as CSV ({str(error).splitlines()[0]})"
            raise HistoryFileError(f"{self.path.name}: after line {lines.last:,}: {reason}") from error

    def _parse(self, file: BinaryIO, lines: _Lines) -> Iterator[RawBatch]:
        try:
            reader = pa_csv.open_csv(
                file,
                # Only a single thread numbers the rows that it skips.
                read_options=pa_csv.ReadOptions(
                    use_threads=False, block_size=BLOCK_BYTES, skip_rows=1, column_names=self.column_names
                ),
                parse_options=pa_csv.ParseOptions(
                    delimiter=self._delimiter,
                    newlines_in_values=True,
                    ignore_empty_lines=False,
                    invalid_row_handler=lines.skip,
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types={name: pa.binary() for name in self.column_names},
                    strings_can_be_null=True,
                    null_values=[""],
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return  # a header and nothing else
            raise
        for batch in reader:
            self._read = file.tell()
            numbers, malformed = lines.locate(batch)
            has_values = ~np.logical_and.reduce([null_mask(column) for column in batch.columns])
            batch = batch.filter(pa.array(has_values))
            columns = dict(zip(self.column_names, batch.columns, strict=True))
            yield RawBatch(columns, numbers[has_values], malformed)
        yield RawBatch({name: pa.nulls(0) for name in self.column_names}, np.empty(0, np.int64), lines.rest())

    def fraction_read(self) -> float:
        """Return the fraction of bytes that was read."""
        return self._read / self._size


class _Skipped(NamedTuple):
    """A record that Arrow could not split, by its number counted from the header's 1."""

    record: int
    fields: int
    text: str


class _Lines:
    """The line of each row.

    Arrow numbers records: a record spans one more line per line break in its fields. Records that Arrow cannot split
    are reported through `skip`, some of them ahead of their batch.
    """

    def __init__(self, fields: int) -> None:
        self._fields = fields
        self._skipped: list[_Skipped] = []
        self._next_record = 2  # the header is the first
        self.last = 1

    def skip(self, row: Any) -> str:
        """Receive a record with too many or too few fields."""
        self._skipped.append(_Skipped(row.number, row.actual_columns, row.text))
        return "skip"

    def locate(self, batch: pa.RecordBatch) -> tuple[NDArray[np.int64], list[MalformedRow]]:
        """Return the lines of a batch's rows, and the malformed rows among them."""
        records = np.asarray([row.record for row in self._skipped], dtype=np.int64)
        rows_before = records - self._next_record - np.arange(len(records))
        among = int(np.count_nonzero(rows_before < batch.num_rows))
        breaks = sum(
            pc.fill_null(pc.count_substring(column, "\n"), 0).to_numpy(zero_copy_only=False)
            for column in batch.columns
        )
        return self._number(breaks, among)

    def rest(self) -> list[MalformedRow]:
        """Return the malformed rows after the last good one."""
        return self._number(np.empty(0, np.int64), len(self._skipped))[1]

    def _number(self, breaks: Any, among: int) -> tuple[NDArray[np.int64], list[MalformedRow]]:
        """Number rows with these line breaks, and the next `among` malformed rows between them."""
        skipped, self._skipped = self._skipped[:among], self._skipped[among:]
        is_row = np.ones(len(breaks) + among, dtype=np.bool_)
        is_row[np.asarray([row.record - self._next_record for row in skipped], np.int64)] = False
        spans = np.ones(len(is_row), dtype=np.int64)
        spans[is_row] += breaks
        spans[~is_row] += np.asarray([row.text.count("\n") for row in skipped], np.int64)
        lines = self.last + np.cumsum(spans) - spans + 1
        self._next_record += len(spans)
        self.last += int(spans.sum())
        malformed = [
            MalformedRow(
                line,
                f"has {row.fields} {'field' if row.fields == 1 else 'fields'}, but the header names {self._fields}",
                row.text,
            )
            for line, row in zip(lines[~is_row].tolist(), skipped, strict=True)
        ]
        return lines[is_row], malformed
