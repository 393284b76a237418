"""Rows of a file with the same key."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rowguard.operations.importer._arrow import Mask, null_mask
from rowguard.operations.importer._schema import FileSchema

Ints = NDArray[np.int64]
_MISSING = np.iinfo(np.int64).min


class Duplicate(NamedTuple):
    """A row that repeats the key of an earlier row."""

    line: int
    first_line: int
    key: tuple[int, ...]


class Keys:
    """The keys of a file, the only state that grows with it: 24 MB for a million transactions with ids."""

    def __init__(self, schema: FileSchema) -> None:
        self._schema = schema
        self._parts: list[list[Ints]] = []

    def add(self, batch: pa.RecordBatch, lines: Ints, is_bad: Mask) -> None:
        """Add the good rows of a batch; bad ones are reported anyway."""
        has_key = ~null_mask(batch.column(self._schema.key_if)) & ~is_bad
        if not has_key.any():
            return
        columns = [_numbers(batch.column(name)) for name in self._schema.key]
        self._parts.append([column[has_key] for column in [*columns, lines]])

    def duplicates(self, limit: int) -> tuple[int, list[Duplicate]]:
        """Return how many rows repeat a key, and the first of them by line."""
        if not self._parts:
            return 0, []
        *columns, lines = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        self._parts = []
        # Most files are sorted by their ids: then nothing repeats.
        ids = columns[self._schema.key.index(self._schema.key_if)]
        if bool(np.all(ids[1:] > ids[:-1])):
            return 0, []
        order = np.lexsort((lines, *reversed(columns)))
        repeats = np.ones(max(len(order) - 1, 0), dtype=np.bool_)
        for column in columns:
            ordered = column[order]
            repeats &= ordered[1:] == ordered[:-1]
        positions = np.flatnonzero(repeats) + 1
        earliest = positions[np.argsort(lines[order[positions]], kind="stable")][:limit]
        return len(positions), [
            Duplicate(
                line=int(lines[order[position]]),
                first_line=int(lines[order[position - 1]]),
                key=tuple(int(column[order[position]]) for column in columns),
            )
            for position in earliest.tolist()
        ]


def _numbers(column: pa.Array) -> Ints:
    if pa.types.is_timestamp(column.type):
        column = column.view(pa.int64())
    numbers: Ints = pc.fill_null(column, _MISSING).to_numpy(zero_copy_only=False)
    return numbers
