"""What the reader needs of a file, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

BATCH_ROWS = 65_536


class MalformedRow(NamedTuple):
    """A row that could not even be split into its fields."""

    line: int
    reason: str
    text: str


class RawBatch(NamedTuple):
    """Rows as the file holds them: columns by the file's names, and the line (or row) of each."""

    columns: dict[str, pa.Array]
    lines: NDArray[np.int64]
    malformed: list[MalformedRow]


class Source(Protocol):
    """An open file."""

    path: Path
    unit: str
    """What positions count: "line" or "row"."""
    column_names: list[str]
    rows: int | None
    """How many rows there are, if the file says so."""

    def batches(self, columns: list[str]) -> Iterator[RawBatch]:
        """The file from its beginning; at least the given columns."""

    def fraction_read(self) -> float:
        """How much of the file was read, 0 to 1."""
