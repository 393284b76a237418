"""The formats of files: CSV and Parquet, read as batches of raw columns with the line of each row."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, BinaryIO, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from rowguard.operations.archive import ARCHIVE_KEY
from rowguard.operations.importer.problems import HistoryFileError
from rowguard.operations.importer.values import Faults

CSV_BATCH_ROWS = 20_000
PARQUET_BATCH_ROWS = 65_536
DELIMITERS = ",;\t|"
_SAMPLE_BYTES = 64 * 1024
GZIP = b"\x1f\x8b"
_COMPRESSED = {
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}


class MalformedRow(NamedTuple):
    """A row that could not be split into its fields."""

    line: int
    reason: str
    text: str


class RawBatch(NamedTuple):
    """Rows as the file holds them: columns by the file's names, and the line (or row) of each.

    `faults` are the values, by column, that a mapping could not rewrite.
    """

    columns: dict[str, pa.Array]
    lines: Sequence[int]
    malformed: list[MalformedRow]
    faults: Mapping[str, Faults] = MappingProxyType({})


class ParquetSource:
    """A Parquet file; rows are counted from 1."""

    unit = "row"

    def __init__(self, path: Path) -> None:
        """Open the file; HistoryFileError when it is no complete Parquet file."""
        self.path = path
        self._read = 0
        try:
            with pq.ParquetFile(path) as file:
                self.column_names: list[str] = list(file.schema_arrow.names)
                self._rows = file.metadata.num_rows
                self.is_archive = ARCHIVE_KEY in (file.schema_arrow.metadata or {})
        except (pa.ArrowException, OSError, ValueError) as error:
            raise HistoryFileError(f"{path.name}: not a Parquet file, or cut short") from error

    def batches(self, columns: list[str]) -> Iterator[RawBatch]:
        """Yield batches of these columns; HistoryFileError when the file is damaged."""
        self._read = 0
        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(batch_size=PARQUET_BATCH_ROWS, columns=columns):
                    first = self._read + 1
                    self._read += batch.num_rows
                    yield RawBatch(
                        {name: batch.column(name) for name in columns}, range(first, self._read + 1), []
                    )
        except (pa.ArrowException, OSError) as error:
            raise HistoryFileError(
                f"{self.path.name}: damaged after row {self._read:,}; it cannot be read to its end"
            ) from error

    def fraction_read(self) -> float:
        """Return the fraction of rows that was read."""
        return self._read / self._rows if self._rows else 0.0


class CsvSource:
    """A CSV file with a header; lines are counted from 1 as an editor does. Empty rows are skipped."""

    unit = "line"
    is_archive = False

    def __init__(
        self,
        path: Path,
        *,
        delimiter: str | None = None,
        known: Collection[str] = (),
        encoding: str = "utf-8",
    ) -> None:
        """Read the header.

        Args:
            path: The file. Excel's first line `sep=;` names the delimiter.
            delimiter: One character; by default the one of `DELIMITERS` that fits the first rows best.
            known: Names that the header may hold.
            encoding: Of the text.

        Raises:
            HistoryFileError: The header is missing, or not text in this encoding.
        """
        self.path = path
        self._size = path.stat().st_size
        self._read = 0
        is_utf_8 = codecs.lookup(encoding).name == "utf-8"
        self._encoding = "utf-8-sig" if is_utf_8 else encoding
        try:
            with path.open("rb") as packed:
                self._is_gzip = packed.read(len(GZIP)) == GZIP
                packed.seek(0)
                with self._unpack(packed) as file:
                    sample = file.read(_SAMPLE_BYTES)
                    is_whole = not file.read(1)
        except (OSError, EOFError, zlib.error):
            raise HistoryFileError(f"{path.name}: damaged; it cannot be unpacked") from None
        is_wide = sample.startswith((b"\xff\xfe", b"\xfe\xff"))
        if is_utf_8 and (is_wide or b"\0" in sample.partition(b"\n")[0]):
            raise HistoryFileError(
                f"{path.name}: not text in UTF-8 (UTF-16, or no text at all); name its encoding in a mapping file"
            )
        try:
            text = codecs.getincrementaldecoder(self._encoding)("surrogateescape").decode(sample)
        except UnicodeError:
            raise HistoryFileError(f"{path.name}: not text in {encoding}") from None
        self._skipped_lines = 0
        first = text.partition("\n")[0].strip().strip('"')
        if first[:4].lower() == "sep=" and len(first) == 5:
            self._skipped_lines = 1
            delimiter = delimiter or first[4]
            text = text.partition("\n")[2]
        self._delimiter = delimiter or _find_delimiter(text, known, is_whole=is_whole)
        self.column_names = self._header()

    def _unpack(self, packed: BinaryIO) -> BinaryIO:
        return cast("BinaryIO", gzip.GzipFile(fileobj=packed)) if self._is_gzip else packed

    def _header(self) -> list[str]:
        with self.path.open("rb") as packed, self._unpack(packed) as raw, self._decode(raw) as file:
            try:
                names = [name.strip() for name in next(self._reader(file), [])]
            except csv.Error as error:
                raise HistoryFileError(f"{self.path.name}: line 1: {_reason(error)}") from None
        if not any(names):
            raise HistoryFileError(f"{self.path.name}: the first line is empty; it must name the columns")
        if "" in names:
            raise HistoryFileError(
                f"{self.path.name}: column {names.index('') + 1} has no name in the first line"
            )
        if any("\udc80" <= character <= "\udcff" for name in names for character in name):
            raise HistoryFileError(f"{self.path.name}: line 1 is not UTF-8 text")
        return names

    def _decode(self, raw: BinaryIO) -> IO[str]:
        # Bytes that are no text are found by their row, where they are in a column that is read.
        file = io.TextIOWrapper(raw, self._encoding, errors="surrogateescape", newline="")
        for _ in range(self._skipped_lines):
            file.readline()
        return file

    def _reader(self, file: IO[str]) -> Any:
        return csv.reader(file, delimiter=self._delimiter, strict=True)

    def batches(self, columns: list[str]) -> Iterator[RawBatch]:
        """Yield batches of these columns; HistoryFileError when the file cannot be read."""
        width = len(self.column_names)
        indexes = {name: self.column_names.index(name) for name in columns}
        fields: list[
            str
        ] = []  # of all rows in one list: a list for each row keeps the garbage collector busy
        lines: list[int] = []
        malformed: list[MalformedRow] = []
        last = 0

        def batch() -> RawBatch:
            columns = {name: _text_array(fields[index::width]) for name, index in indexes.items()}
            return RawBatch(columns, lines, malformed)

        try:
            with self.path.open("rb") as packed, self._unpack(packed) as raw, self._decode(raw) as file:
                reader = self._reader(file)
                is_header = True
                while True:
                    try:
                        for row in reader:
                            line, last = last + 1 + self._skipped_lines, reader.line_num
                            if is_header:
                                is_header = False
                            elif len(row) == width:
                                if row[0] or any(row):
                                    fields.extend(row)
                                    lines.append(line)
                            elif row:
                                reason = f"has {len(row)} field{'s' * (len(row) != 1)}, but the header names {width}"
                                malformed.append(MalformedRow(line, reason, self._delimiter.join(row)))
                            if len(lines) == CSV_BATCH_ROWS:
                                self._read = packed.tell()
                                yield batch()
                                fields, lines, malformed = [], [], []
                        break
                    except csv.Error as error:
                        malformed.append(MalformedRow(last + 1 + self._skipped_lines, _reason(error), ""))
                        last = reader.line_num
        except UnicodeError:
            raise HistoryFileError(
                f"{self.path.name}: not text in {self._encoding} after line {last + self._skipped_lines:,}"
            ) from None
        except (OSError, EOFError, zlib.error) as error:
            shown_error = getattr(error, "strerror", None) or error
            raise HistoryFileError(f"{self.path.name}: cannot be read ({shown_error})") from None
        self._read = self._size
        yield batch()

    def fraction_read(self) -> float:
        """Return the fraction of bytes that was read."""
        return self._read / self._size


def open_source(
    path: Path, *, delimiter: str | None, known: Collection[str], encoding: str = "utf-8"
) -> ParquetSource | CsvSource:
    """Open a file: Parquet is recognized by its first bytes or its name, any other file is CSV.

    Args:
        path: The file.
        delimiter: Of CSV; by default found.
        known: Names that a CSV header may hold.
        encoding: Of CSV.

    Returns:
        The source; its header is read.

    Raises:
        HistoryFileError: It cannot be read, or its header is wrong.
    """
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
    if start.startswith(b"PAR1") or path.suffix.lower() in (".parquet", ".pq"):
        return ParquetSource(path)
    return CsvSource(path, delimiter=delimiter, known=known, encoding=encoding)


def _find_delimiter(text: str, known: Collection[str], *, is_whole: bool) -> str:
    """Return the delimiter by which the header has most known names, and most rows have its number of fields."""

    def fit(delimiter: str) -> tuple[int, int, int]:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        if not is_whole:
            rows = rows[:-1] or rows  # the last one may be cut
        names = [name.strip() for name in rows[0]] if rows else []
        return len(set(names) & set(known)), sum(len(row) == len(names) > 1 for row in rows), len(names)

    return max(DELIMITERS, key=fit)


def _reason(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end" in text:
        return "a quote is opened and not closed"
    if "field limit" in text:
        return "a field is longer than 131,072 characters; is a quote opened and not closed?"
    return f"cannot be read as CSV ({text})"


def _text_array(values: Sequence[str]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([value.encode("utf-8", "surrogateescape") for value in values], pa.binary())
