"""Reading Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rowguard.operations.importer._errors import HistoryFileError
from rowguard.operations.importer._source import BATCH_ROWS, RawBatch


class ParquetSource:
    """A Parquet file; rows are counted from 1."""

    unit = "row"

    def __init__(self, path: Path) -> None:
        """
        Raises:
            HistoryFileError: it is not a Parquet file, or not all of one.
        """
        self.path = path
        try:
            with pq.ParquetFile(path) as file:
                self.column_names: list[str] = list(file.schema_arrow.names)
                self.rows: int | None = file.metadata.num_rows
        except (pa.ArrowException, OSError, ValueError) as error:
            raise HistoryFileError(f"{path.name}: not a Parquet file, or cut short") from error
        self._read = 0

    def batches(self, columns: list[str]) -> Iterator[RawBatch]:
        """
        Raises:
            HistoryFileError: the file is damaged.
        """
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
        return self._read / self.rows if self.rows else 0.0
