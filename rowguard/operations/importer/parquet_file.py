"""The Parquet format, and what every format has in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rowguard.operations.archive import ARCHIVE_KEY
from rowguard.operations.importer.problems import HistoryFileError

BATCH_ROWS = 65_536


class MalformedRow(NamedTuple):
    """A row that could not be split into its fields."""

    line: int
    reason: str
    text: str


class RawBatch(NamedTuple):
    """Rows as the file holds them: columns by the file's names, and the line (or row) of each."""

    columns: dict[str, pa.Array]
    lines: NDArray[np.int64]
    malformed: list[MalformedRow]


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
                for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
                    lines = np.arange(self._read + 1, self._read + 1 + batch.num_rows)
                    self._read += batch.num_rows
                    yield RawBatch({name: batch.column(name) for name in columns}, lines, [])
        except (pa.ArrowException, OSError) as error:
            raise HistoryFileError(
                f"{self.path.name}: damaged after row {self._read:,}; it cannot be read to its end"
            ) from error

    def fraction_read(self) -> float:
        """Return the fraction of rows that was read."""
        return self._read / self._rows if self._rows else 0.0
