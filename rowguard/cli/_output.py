"""Output of the commands: tables on standard output, progress on standard error, or one JSON document."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
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
    TimeRemainingColumn,
)
from rich.table import Table

from rowguard.progress import Progress as StepProgress

MIN_TEXT_WIDTH = 24
_PIPE_WIDTH = 200  # a pipe has no width; do not fold what a program may read
_HAS_WIDTH = "COLUMNS" in os.environ
out = Console(highlight=False, width=None if _HAS_WIDTH or sys.stdout.isatty() else _PIPE_WIDTH)
err = Console(stderr=True, highlight=False, width=None if _HAS_WIDTH or sys.stderr.isatty() else _PIPE_WIDTH)


def parse_time(value: str) -> datetime:
    """Parse a day or a time; without a zone it is UTC.

    Args:
        value: ISO 8601.

    Returns:
        The time in UTC.

    Raises:
        typer.BadParameter: It is neither.
    """
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):  # UTC may be outside the calendar
        raise typer.BadParameter(
            f"{value!r} is neither a day (2026-11-01) nor a time (2026-11-01T12:00)"
        ) from None


def parse_day(value: str) -> datetime:
    """Parse a day, as its midnight in UTC; arguments and errors as in `parse_time`."""
    return parse_time(value).replace(hour=0, minute=0, second=0, microsecond=0)


def parse_days(value: str) -> int:
    """Parse a number of days.

    Args:
        value: Such as 400d or 400.

    Returns:
        The number.

    Raises:
        typer.BadParameter: It is none.
    """
    text = value.removesuffix("d")
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= 36_500:
        raise typer.BadParameter(f"{value!r} is no number of days such as 400d")
    return int(text)


def time_option(*names: str, help: str) -> Any:
    """Return an option that takes a day or a time.

    Args:
        names: As of `typer.Option`.
        help: As of `typer.Option`.
    """
    return typer.Option(*names, parser=parse_time, metavar="TIME", show_default=False, help=help)


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
From = Annotated[Any, time_option("--from", help="First day of the training window.")]
To = Annotated[Any, time_option("--to", help="Label cutoff; by default the time of the last transaction.")]


def print_json(document: Any) -> None:
    """Print the one document; dataclasses become objects."""
    sys.stdout.write(json.dumps(document, default=_to_json, indent=2) + "\n")


def print_table(
    rows: Sequence[Mapping[str, Any]], title: str | None = None, *, console: Console = out
) -> None:
    """Print rows as a table that fits the console.

    Args:
        rows: Header to value, the most important column first. Columns that do not fit are left out from the right,
            and named below the table; words of a text wrap. One row that does not fit becomes a list.
        title: Line above the table.
        console: Standard output or standard error.
    """
    headers = list(rows[0]) if rows else []
    if len(rows) == 1 and not _fits(console, _table(rows, headers)):
        console.print(_facts(title, rows[0]))
        return
    fitting = next(
        (count for count in range(len(headers), 1, -1) if _fits(console, _table(rows, headers[:count]))), 1
    )
    console.print(_table(rows, headers[:fitting], title))
    if headers[fitting:]:
        console.print(f"[dim]Left out at this width: {', '.join(headers[fitting:])}[/dim]")


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """Print names with their values, which wrap.

    Args:
        title: Line above them.
        facts: Name to value.
    """
    out.print(_facts(title, facts))


def _facts(title: str | None, facts: Mapping[str, Any]) -> Table:
    result = Table(
        box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", show_header=False
    )
    result.add_column(no_wrap=True)
    result.add_column(overflow="fold")
    for name, value in facts.items():
        result.add_row(name, _format(value))
    return result


def _table(rows: Sequence[Mapping[str, Any]], headers: Sequence[str], title: str | None = None) -> Table:
    result = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    for header in headers:
        values = [row[header] for row in rows]
        is_numeric = all(isinstance(value, int | float) or value is None for value in values)
        wraps = any(isinstance(value, str) and " " in value for value in values)
        longest = max(len(text) for text in (header, *(_format(value) for value in values)))
        result.add_column(
            header,
            justify="right" if is_numeric else "left",
            no_wrap=not wraps,
            min_width=min(longest, MIN_TEXT_WIDTH) if wraps else longest,
            overflow="fold",
        )
    for row in rows:
        result.add_row(*(_format(row[header]) for header in headers))
    return result


def _fits(console: Console, table: Table) -> bool:
    return table.__rich_measure__(console, console.options.update(max_width=1_000)).minimum <= console.width


def next_steps(*lines: str | tuple[str, str]) -> None:
    """Print what to try after this command.

    Args:
        lines: A command, or a command and what it does.
    """
    out.print("\n[bold]Next[/bold]")
    pairs = [(line, "") if isinstance(line, str) else line for line in lines]
    indent = 2 + max((len(command) for command, purpose in pairs if purpose and len(command) < 40), default=0)
    for command, purpose in pairs:
        text = f"  {command}  ".ljust(indent + 3) + purpose
        if len(text) > out.width:
            text = f"  {command}\n      {purpose}"
        out.print(text.rstrip(), markup=False, soft_wrap=True)  # a command is copied from its one line


@contextmanager
def steps(quiet: bool = False) -> Iterator[StepProgress]:
    """Show the current step with a running clock, and each finished one with its time.

    Args:
        quiet: Show nothing.

    Yields:
        Called with the name of a step when it starts, and with `name: detail` for news of it.
    """
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

        def step(text: str) -> None:
            name = text.partition(": ")[0]
            if current and current[0][0] == name:
                progress.update(task, description=text)
                return
            finish()
            current.append((name, time.monotonic()))
            progress.reset(task, description=text)

        yield step
        finish()
    if not quiet:
        err.print(f"  [dim]{time.monotonic() - started:.1f} s in total[/dim]")


@contextmanager
def bar(description: str, total: int | None, quiet: bool = False) -> Iterator[Callable[[float], None]]:
    """Show a progress bar with an estimate of the time left.

    Args:
        description: What is counted.
        total: How much there is; None if unknown.
        quiet: Show nothing.

    Yields:
        Advances it by a count.
    """
    with Progress(
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        console=err,
        disable=quiet or not err.is_terminal,
    ) as progress:
        task = progress.add_task(description, total=total)
        yield lambda count: progress.advance(task, count)


@contextmanager
def counted_steps(
    description: str, total: int, quiet: bool = False, hint: str = ""
) -> Iterator[StepProgress]:
    """Count steps that take about as long as each other; without a terminal print one estimate after the first.

    Args:
        description: What is counted.
        total: Number of steps.
        quiet: Show nothing.
        hint: Added to the estimate.

    Yields:
        Called when a step starts.
    """
    starts: list[float] = []
    with bar(description, total, quiet) as advance:

        def step(name: str) -> None:
            starts.append(time.monotonic())
            if len(starts) > 1:
                advance(1)
            if len(starts) == 2 and not quiet:
                minutes = (starts[1] - starts[0]) * total / 60
                err.print(f"  {description}: {total}, about {minutes:.1f} minutes{hint}")

        yield step
        advance(1)


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
    if isinstance(value, Path):
        value = os.path.relpath(value) if value.is_relative_to(Path.cwd()) else value
    return escape(str(value))


def _to_json(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)
