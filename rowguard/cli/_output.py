"""What commands print: tables and next steps on standard output, progress on standard error, or one JSON document."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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

_WIDE = None if sys.stdout.isatty() else 200  # a pipe has no width; do not fold what a program may read
out = Console(highlight=False, width=_WIDE)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 200)

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")]


def print_json(document: Any) -> None:
    """Write the one document."""
    sys.stdout.write(json.dumps(document, default=_plain, indent=2) + "\n")


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> Table:
    """A table whose numbers stand to the right."""
    result = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(
            isinstance(row[index], int | float) or row[index] is None for row in rows
        )
        result.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        result.add_row(*(_shown(value) for value in row))
    return result


def next_steps(*lines: str) -> None:
    """What to try after this command."""
    out.print("\n[bold]Next[/bold]")
    for line in lines:
        out.print(f"  {line}", markup=False)


@contextmanager
def steps(quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Shows the present step with a running clock, and each finished one with its time."""
    started = time.monotonic()
    present: list[tuple[str, float]] = []

    def finish() -> None:
        if present and not quiet:
            name, since = present.pop()
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
            present.append((name, time.monotonic()))
            progress.reset(task, description=name)

        yield step
        finish()
    if not quiet:
        err.print(f"  [dim]{time.monotonic() - started:.1f} s in all[/dim]")


@contextmanager
def bar(description: str, total: int | None, quiet: bool = False) -> Iterator[Callable[[float], None]]:
    """A progress bar; the callable advances it."""
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
    """A day or an instant; without a zone it is UTC.

    Raises:
        typer.BadParameter: it is neither.
    """
    if value is None:
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):  # an instant may leave the calendar on its way to UTC
        raise typer.BadParameter(
            f"{value!r} is neither a day (2026-11-01) nor an instant (2026-11-01T12:00)", param_hint=option
        ) from None


def _shown(value: Any) -> str:
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


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)
