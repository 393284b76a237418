"""`python -m benchmarks.chaos`: every fault, and a table of the results."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.chaos.faults import ALL, QUICK
from benchmarks.chaos.run import Outcome, run_faults

COLUMNS = {
    "fault": "fault",
    "acknowledged": "acknowledged",
    "retries": "retries",
    "failed": "failed",
    "lost": "lost",
    "duplicated": "duplicated",
    "changed": "changed",
    "unscored": "no decision, no reason",
    "with_reason": "with reason",
    "not_reproducible": "not reproducible",
    "velocity_wrong": "wrong velocity",
    "recomputed_values": "recomputed values",
    "recomputed_wrong": "of them wrong",
    "fault_s": "fault s",
    "recovery_s": "recovery s",
    "outage_s": "outage s",
    "restarted": "restarted",
    "median_ms": "median ms",
    "worst_s": "worst s",
}
PIPE_WIDTH = 260


def main(
    seconds: Annotated[float, typer.Option(help="Seconds of load around each fault.", min=1)] = 12,
    rate: Annotated[float, typer.Option(help="Payments per second.", min=1)] = 120,
    only: Annotated[list[str] | None, typer.Option(help="Names of faults, or parts of them.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="The faults of the test suite.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Inject faults under load and count lost payments. Builds a separate stack; takes about eight minutes.

    Example: python -m benchmarks.chaos --only SIGKILL --seconds 20
    """
    names = [
        fault.name
        for fault in ALL
        if (not quick or fault.name in QUICK) and (not only or any(part in fault.name for part in only))
    ]
    if not names:
        raise typer.BadParameter("no fault has such a name", param_hint="--only")
    err = Console(stderr=True, highlight=False)
    outcomes = run_faults(
        names,
        seconds=seconds,
        rate=rate,
        check_each=not quick,
        progress=lambda step: err.print(f"  {step}", markup=False),
        on_outcome=lambda outcome: None if outcome.is_right else err.print(outcome.notes, markup=False),
    )
    if as_json:
        sys.stdout.write(json.dumps([outcome.document() for outcome in outcomes], indent=2) + "\n")
    else:
        _print(outcomes)
    if not all(outcome.is_right for outcome in outcomes):
        raise typer.Exit(1)


def _print(outcomes: list[Outcome]) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for name, title in COLUMNS.items():
        table.add_column(title, justify="left" if name == "fault" else "right")
    for outcome in outcomes:
        if outcome.skipped:
            table.add_row(outcome.fault, f"skipped: {outcome.skipped}")
            continue
        values = [getattr(outcome, name) for name in COLUMNS]
        table.add_row(*map(_cell, values))
    # A pipe has no width, and no name may be truncated.
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False).print(table)
    wrong = [outcome.fault for outcome in outcomes if not outcome.is_right]
    print("all right" if not wrong else f"WRONG: {', '.join(wrong)}")


def _cell(value: object) -> str:
    if value is None or value == ():
        return "–"
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    typer.run(main)
