"""The interface of a file format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

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


class Source(Protocol):
    """An open file."""

    path: Path
    unit: str
    """Unit of positions: "line" or "row"."""
    column_names: list[str]
    rows: int | None
    """Number of rows, if known beforehand."""
    is_archive: bool
    """Whether `rowguard archive` wrote it."""

    def batches(self, columns: list[str]) -> Iterator[RawBatch]:
        """Read the file from its start, at least the given columns."""

    def fraction_read(self) -> float:
        """Return the fraction of the file that was read."""
