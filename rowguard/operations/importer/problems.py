"""Problems of a file, by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rowguard.errors import ImportFileError

PROBLEM_LIMIT = 20
_VALUE_WIDTH = 40


class RowProblem(NamedTuple):
    """One reason why one row cannot be loaded.

    Attributes:
        line: CSV: line of the file, counted from 1, the header and quoted line breaks included. Parquet: row,
            counted from 1.
        column: The canonical column; None if the row as a whole is malformed.
        reason: Why.
        value: What the file holds there, shortened; None if it holds nothing.
    """

    line: int
    column: str | None
    reason: str
    value: str | None

    def __str__(self) -> str:
        where = f"{self.column} " if self.column else ""
        value = "" if self.value is None else f": {self.value}"
        return f"{where}{self.reason}{value}"


class HistoryFileError(ImportFileError):
    """The file holds rows that cannot be loaded; nothing was loaded.

    Attributes:
        problems: The first problems in the order of the file.
        bad_rows: Number of rows that cannot be loaded.
        reasons: Count per "column reason".
        unit: "line" (CSV) or "row" (Parquet).
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        problems: Sequence[RowProblem] = (),
        bad_rows: int = 0,
        reasons: Mapping[str, int] | None = None,
        unit: str = "line",
    ) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
        self.bad_rows = bad_rows
        self.reasons = dict(reasons or {})
        self.unit = unit


class Problems:
    """Problems of a file while it is read: all are counted, the first `PROBLEM_LIMIT` are stored."""

    def __init__(self) -> None:
        self.bad_rows = 0
        self._reasons: Counter[str] = Counter()
        self._examples: list[RowProblem] = []

    def add(
        self, column: str | None, reason: str, count: int, examples: Iterable[tuple[int, str, object]]
    ) -> None:
        """Count rows of one reason, and keep the earliest examples as (line, reason, value)."""
        self._reasons[f"{column} {reason}" if column else reason] += count
        found = [RowProblem(line, column, reason, shown(value)) for line, reason, value in examples]
        self._examples = sorted([*self._examples, *found], key=lambda problem: problem.line)[:PROBLEM_LIMIT]

    def error(self, name: str, unit: str, rows: int) -> HistoryFileError:
        """Return the error to raise at the end, a message of one line."""
        first = self._examples[0]
        more = f" (and {self.bad_rows - 1:,} more)" if self.bad_rows > 1 else ""
        message = (
            f"{name}: {self.bad_rows:,} of {rows:,} rows cannot be loaded, nothing was loaded; "
            f"{unit} {first.line:,}: {first}{more}"
        )
        return HistoryFileError(
            message, problems=self._examples, bad_rows=self.bad_rows, reasons=self._reasons, unit=unit
        )


def shown(value: object) -> str | None:
    """Return a value of the file for a message: one line, shortened, control characters escaped."""
    if value is None:
        return None
    text = value.decode("utf-8", errors="backslashreplace") if isinstance(value, bytes) else str(value)
    text = repr(text) if not text.isprintable() or not text.strip() or text != text.strip() else text
    return text if len(text) <= _VALUE_WIDTH else f"{text[: _VALUE_WIDTH - 1]}…"
