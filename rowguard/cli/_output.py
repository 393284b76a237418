"""Output of the commands: tables on standard output, progress on standard error, or one JSON document."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from rowguard.progress import Progress as StepProgress

_PIPE_WIDTH = 200  # a pipe has no width; do not fold what a program may read
out = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _PIPE_WIDTH)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
From = Annotated[str | None, typer.Option("--from", help="First day of the training window.")]
To = Annotated[
    str | None, typer.Option("--to", help="Label cutoff; by default the time of the last transaction.")
]


def print_json(document: Any) -> None:
    """Print the one document; dataclasses become objects."""
    sys.stdout.write(json.dumps(document, default=_to_json, indent=2) + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> None:
    """Print a table; columns of numbers are aligned to the right."""
    out.print(table(columns, rows, title))


def print_facts(title: str, facts: Sequence[tuple[str, str]]) -> None:
    """Print names with their values."""
    out.print(table(["", title], facts))


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> Table:
    """Return a table for `out` or `err`."""
    result = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        is_numeric = bool(rows) and all(
            isinstance(row[index], int | float) or row[index] is None for row in rows
        )
        result.add_column(column, justify="right" if is_numeric else "left", no_wrap=True)
    for row in rows:
        result.add_row(*(_format(value) for value in row))
    return result


def next_steps(*lines: str) -> None:
    """Print what to try after this command."""
    out.print("\n[bold]Next[/bold]")
    for line in lines:
        out.print(f"  {line}", markup=False)


@contextmanager
def steps(quiet: bool = False) -> Iterator[StepProgress]:
    """Show the current step with a running clock, and each finished one with its time."""
    started = time.monotonic()
    current: list[tuple[str, float]] = []

    def finish() -> None:
        if current and not quiet:
            name, since = current.pop()
            err.print(f"  [green]✓[/green] {name} [dim]{time.monotonic() - since:.1f} s[/dim]")

    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=quiet or not err.is_terminal,
    ) as progress:
        task = progress.add_task("", start=False)

        def step(name: str) -> None:
            finish()
            current.append((name, time.monotonic()))
            progress.reset(task, description=name)

        yield step
        finish()
    if not quiet:
        err.print(f"  [dim]{time.monotonic() - started:.1f} s in total[/dim]")


@contextmanager
def bar(description: str, total: int | None, quiet: bool = False) -> Iterator[Callable[[float], None]]:
    """Show a progress bar; the callable advances it."""
    with Progress(
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        disable=quiet or not err.is_terminal,
    ) as progress:
        task = progress.add_task(description, total=total)
        yield lambda count: progress.advance(task, count)


def parse_time(value: str | None, option: str) -> datetime | None:
    """Parse a day or a time; without a zone it is UTC.

    Raises:
        typer.BadParameter: It is neither.
    """
    if value is None:
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):  # UTC may be outside the calendar
        raise typer.BadParameter(
            f"{value!r} is neither a day (2026-11-01) nor a time (2026-11-01T12:00)", param_hint=option
        ) from None


def parse_day(value: str, option: str) -> datetime:
    """Parse a day, as its midnight in UTC.

    Raises:
        typer.BadParameter: It is none.
    """
    parsed = parse_time(value, option)
    assert parsed is not None
    return parsed.replace(hour=0, minute=0, second=0, microsecond=0)


def _format(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    return escape(str(value))


def _to_json(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)
