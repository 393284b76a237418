"""The CSV format: every field as raw bytes first, so that a bad one can be shown with its line."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from rowguard.operations.importer._arrow import Mask, null_mask
from rowguard.operations.importer._errors import HistoryFileError
from rowguard.operations.importer._source import MalformedRow, RawBatch

_BLOCK_BYTES = 4 * 1024 * 1024
_MAX_HEADER = 64 * 1024
_SHOWN = 200
_DELIMITERS = ",;\t|"


class CsvSource:
    """A CSV file with a header line; lines are counted from 1.

    The separator is comma, semicolon, tab or bar: the most frequent one of the header. Empty lines are skipped.
    """

    unit = "line"
    rows: int | None = None
    is_archive = False

    def __init__(self, path: Path) -> None:
        """Read the header; HistoryFileError when it is missing or not UTF-8 text."""
        self.path = path
        self.size = path.stat().st_size
        header = self._header()
        self._delimiter = max(_DELIMITERS, key=header.count) if any(map(header.count, _DELIMITERS)) else ","
        names = next(csv.reader([header], delimiter=self._delimiter), [])
        self.column_names = [name.strip() for name in names]
        if not any(self.column_names):
            raise HistoryFileError(f"{path.name}: the first line is empty; it must name the columns")
        if "" in self.column_names:
            number = self.column_names.index("") + 1
            raise HistoryFileError(f"{path.name}: column {number} has no name in the first line")
        self._file: _Utf8File | None = None

    def _header(self) -> str:
        with self.path.open("rb") as file:
            start = file.read(_MAX_HEADER)
        start = start.removeprefix(b"\xef\xbb\xbf")
        line = start.splitlines()[0] if start else b""
        if line.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in line:
            raise HistoryFileError(f"{self.path.name}: not text in UTF-8 (UTF-16, or no text at all)")
        self._is_header_only = len(line) == len(start)
        if len(line) >= _MAX_HEADER - 3:
            raise HistoryFileError(f"{self.path.name}: the first line is longer than 64 KiB; is this CSV?")
        if line.count(b'"') % 2:
            raise HistoryFileError(f"{self.path.name}: line 1: a quote is opened and not closed")
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError:
            raise HistoryFileError(f"{self.path.name}: line 1 is not UTF-8 text") from None

    def batches(self, columns: list[str]) -> Iterator[RawBatch]:
        """Yield batches; HistoryFileError when a line is too long or the file cannot be read."""
        if self._is_header_only:
            return  # Arrow cannot skip a line that does not end
        lines = _Lines(len(self.column_names))
        try:
            with _Utf8File(self.path) as self._file:
                yield from self._parse(lines)
        except (pa.ArrowException, OSError) as error:
            if "straddl" in str(error):
                reason = "a row is longer than 4 MiB; is a quote opened and not closed?"
            else:
                reason = f"cannot be read as CSV ({str(error).splitlines()[0]})"
            raise HistoryFileError(f"{self.path.name}: after line {lines.last:,}: {reason}") from error

    def _parse(self, lines: _Lines) -> Iterator[RawBatch]:
        try:
            reader = pa_csv.open_csv(
                self._file,
                # Only a single thread numbers the rows that it skips.
                read_options=pa_csv.ReadOptions(
                    use_threads=False, block_size=_BLOCK_BYTES, skip_rows=1, column_names=self.column_names
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
            numbers, malformed = lines.locate(batch)
            empty = _empty_rows(batch)
            if empty.any():
                batch = batch.filter(pa.array(~empty))
                numbers = numbers[~empty]
            yield RawBatch(dict(zip(self.column_names, batch.columns, strict=True)), numbers, malformed)
        yield RawBatch({name: pa.nulls(0) for name in self.column_names}, np.empty(0, np.int64), lines.rest())

    def fraction_read(self) -> float:
        """Return the fraction of bytes that was read."""
        if self._file is None or not self.size:
            return 0.0
        return min(1.0, self._file.bytes_read / self.size)


class _Utf8File:
    """A file that checks its encoding while Arrow reads it; Arrow checks single fields only."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._file = path.open("rb")
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._line = 1
        self.bytes_read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def close(self) -> None:
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        """Read bytes; HistoryFileError names the line that is not UTF-8."""
        held, _ = self._decoder.getstate()
        data = self._file.read(size)
        try:
            self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            line = self._line + (held + data)[: error.start].count(b"\n")
            raise HistoryFileError(
                f"{self._name}: line {line:,} is not UTF-8 text; is the file in another encoding?"
            ) from None
        self._line += data.count(b"\n")
        self.bytes_read += len(data)
        return data


def _empty_rows(batch: pa.RecordBatch) -> Mask:
    empty = np.ones(batch.num_rows, dtype=np.bool_)
    for column in batch.columns:
        empty &= null_mask(column)
        if not empty.any():
            break
    return empty


class _Skipped(NamedTuple):
    """A record that Arrow could not split, by its number counted from the header's 1."""

    record: int
    fields: int
    breaks: int
    text: str


def _fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count} fields"


class _Lines:
    """The line of each row.

    Arrow numbers records: a record spans one more line per line break in its fields. Records that Arrow cannot split
    are reported through `skip`, some of them ahead of their batch.
    """

    def __init__(self, fields: int) -> None:
        self._fields = fields
        self._skipped: list[_Skipped] = []
        self._next_record = 2  # the header is the first
        self._extra = 0
        self.last = 1

    def skip(self, row: Any) -> str:
        """Receive a record with too many or too few fields."""
        breaks = row.text.count("\n")
        self._skipped.append(_Skipped(row.number, row.actual_columns, breaks, row.text[:_SHOWN]))
        return "skip"

    def locate(self, batch: pa.RecordBatch) -> tuple[NDArray[np.int64], list[MalformedRow]]:
        """Return the lines of a batch's rows, and the malformed rows among them."""
        records = np.asarray([row.record for row in self._skipped], dtype=np.int64)
        rows_before = records - self._next_record - np.arange(len(records))
        among = int(np.count_nonzero(rows_before < batch.num_rows))
        breaks = np.zeros(batch.num_rows + among, dtype=np.int64)
        is_row = np.ones(len(breaks), dtype=np.bool_)
        for row in self._skipped[:among]:
            is_row[row.record - self._next_record] = False
            breaks[row.record - self._next_record] = row.breaks
        breaks[is_row] = _line_breaks(batch)
        lines = self._next_record + self._extra + np.arange(len(breaks)) + np.cumsum(breaks) - breaks
        malformed = self._report(lines[~is_row], self._skipped[:among])
        del self._skipped[:among]
        self._next_record += len(breaks)
        self._extra += int(breaks.sum())
        self.last = self._next_record - 1 + self._extra
        return lines[is_row], malformed

    def rest(self) -> list[MalformedRow]:
        """Return the malformed rows after the last good one."""
        breaks = np.asarray([row.breaks for row in self._skipped], dtype=np.int64)
        records = np.asarray([row.record for row in self._skipped], dtype=np.int64)
        malformed = self._report(records + self._extra + np.cumsum(breaks) - breaks, self._skipped)
        self._skipped = []
        return malformed

    def _report(self, lines: NDArray[np.int64], skipped: list[_Skipped]) -> list[MalformedRow]:
        return [
            MalformedRow(line, f"has {_fields(row.fields)}, but the header names {self._fields}", row.text)
            for line, row in zip(lines.tolist(), skipped, strict=True)
        ]


def _line_breaks(batch: pa.RecordBatch) -> NDArray[np.int64]:
    breaks = np.zeros(batch.num_rows, dtype=np.int64)
    for column in batch.columns:
        breaks += pc.fill_null(pc.count_substring(column, "\n"), 0).to_numpy(zero_copy_only=False)
    return breaks
