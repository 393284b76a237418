"""Problems of a file: grouped by kind, with their count, their first lines, and an example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rowguard.errors import ImportFileError

SHOWN_LINES = 5
# In place of a value.
PERSONAL = "(personal data)"
_VALUE_WIDTH = 40


class RowProblem(NamedTuple):
    """One reason why rows cannot be loaded.

    Attributes:
        column: The canonical column; None if the rows as a whole are malformed.
        reason: Why.
        rows: Number of such rows.
        lines: The first of them. CSV: lines of the file, counted from 1, the header and quoted line breaks included.
            Parquet: rows, counted from 1.
        value: What the file holds in the first one, shortened; None if it holds nothing.
    """

    column: str | None
    reason: str
    rows: int
    lines: tuple[int, ...]
    value: str | None

    def __str__(self) -> str:
        where = f"{self.column} " if self.column else ""
        value = "" if self.value is None else f": {self.value}"
        return f"{where}{self.reason}{value}"


class HistoryFileError(ImportFileError):
    """The file holds rows that cannot be loaded; nothing was loaded.

    Attributes:
        problems: One for each column and reason, in the order of the file.
        bad_rows: Number of rows that cannot be loaded.
        unit: "line" (CSV) or "row" (Parquet).
    """

    def __init__(
        self, message: str, *, problems: Sequence[RowProblem] = (), bad_rows: int = 0, unit: str = "line"
    ) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
        self.bad_rows = bad_rows
        self.unit = unit


class Problems:
    """Problems of a file while it is read."""

    def __init__(self) -> None:
        self.bad_rows = 0
        self._kinds: dict[tuple[str | None, str], RowProblem] = {}

    def add(self, column: str | None, reason: str, lines: Sequence[int], value: object) -> None:
        """Count rows of one reason; `value` is what the first of these lines holds."""
        problem = RowProblem(column, reason, len(lines), tuple(lines[:SHOWN_LINES]), shown(value))
        if earlier := self._kinds.get((column, reason)):
            some = (earlier.lines + problem.lines)[:SHOWN_LINES]
            problem = earlier._replace(rows=earlier.rows + problem.rows, lines=some)
        self._kinds[column, reason] = problem

    def error(self, name: str, unit: str, rows: int) -> HistoryFileError:
        """Return the error to raise at the end, a message of one line."""
        problems = sorted(self._kinds.values(), key=lambda problem: problem.lines[0])
        more = f" (and {self.bad_rows - 1:,} more)" if self.bad_rows > 1 else ""
        message = (
            f"{name}: {self.bad_rows:,} of {rows:,} rows cannot be loaded, nothing was loaded; "
            f"{unit} {problems[0].lines[0]:,}: {problems[0]}{more}"
        )
        return HistoryFileError(message, problems=problems, bad_rows=self.bad_rows, unit=unit)


def shown(value: object) -> str | None:
    """Return a value of the file for a message: one line, shortened, control characters escaped."""
    if value is None:
        return None
    encoded = value if isinstance(value, bytes) else str(value).encode(errors="surrogateescape")
    text = encoded.decode(errors="backslashreplace")
    text = repr(text) if not text.isprintable() or not text.strip() or text != text.strip() else text
    return text if len(text) <= _VALUE_WIDTH else f"{text[: _VALUE_WIDTH - 1]}…"
