"""The findings as a Markdown page, with the cost of an INSERT by the size of its user as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.features._build import Built
from benchmarks.features._cost import Timed
from benchmarks.features._replay import Replayed


@dataclass(frozen=True)
class Findings:
    """Everything that one run measured."""

    machine: str
    measured_at: datetime
    is_quick: bool
    history_rows: int
    day_rows: int
    whole: Built
    one_day: Built
    replayed: Replayed
    sizes: list[int]
    inserts: dict[str, Timed]
    reads: dict[str, Timed]


def write_report(findings: Findings, folder: Path) -> None:
    """Write features.md and features-flatness.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "features.md").write_text(_page(findings))
    _plot(findings, folder / "features-flatness.svg")


def _page(findings: Findings) -> str:
    replayed, reads = findings.replayed, findings.reads
    whole, one_day = findings.whole, findings.one_day
    parts = [
        "# Features: the same everywhere, and what they cost",
        f"Written by `python -m benchmarks.features.run{' --quick' if findings.is_quick else ''}`, "
        f"{findings.measured_at:%Y-%m-%d %H:%M} UTC, {findings.machine}. The data are the fraud-detection "
        "handbook's simulated transactions. Other work on the machine lengthens times; compare ratios.",
        "## One day replayed by INSERT",
        f"{findings.history_rows + findings.day_rows:,} transactions of history, features built, a model deployed; "
        f"then the {replayed.rows:,} transactions of the next day, one INSERT and commit each. "
        f"Rows without a decision: {replayed.unscored:,}.",
        _table(
            ["compared", "values", "differences"],
            [
                ("INSERT and the live function just before it", *replayed.live),
                ("INSERT and `score_transaction`: fraud_probability, bit for bit", *replayed.scores),
                ("INSERT and the training set built afterwards", *replayed.training),
            ],
        ),
        "## A scored INSERT stays flat",
        "Inside the server, one transaction per call, commit not counted; users and merchants with N transactions "
        "in 30 days. Sizes alternate in rounds.",
        _table(
            [
                "transactions in 30 days",
                "user: median µs",
                "to the first",
                "merchant: median µs",
                "to the first",
            ],
            [_flat_row(findings, size) for size in findings.sizes],
        ),
        "![Time of a scored INSERT by the user's or merchant's transactions in 30 days](features-flatness.svg)",
        "## The feature read",
        f"{reads['features'].calls:,} calls, ordinary users. *Plain*: the same rows by the same indexes in one "
        "statement of a PL/pgSQL function, nothing computed.",
        _table(
            ["read", "median µs", "fast tenth µs"],
            [
                (name, reads[key].median, reads[key].fast_tenth)
                for name, key in (("features (live function, all values)", "features"), ("plain", "plain"))
            ],
        ),
        "## The training set",
        "Seconds, as dbt reports them for its nodes; up to four nodes run concurrently.",
        _table(
            [
                "node",
                f"{findings.history_rows:,} rows from scratch",
                f"{findings.day_rows:,} rows of one more day",
            ],
            [
                *(
                    (name, seconds, one_day.nodes.get(name))
                    for name, seconds in sorted(whole.nodes.items(), key=lambda item: -item[1])
                    if seconds >= 0.2
                ),
                ("data tests", whole.tests, one_day.tests),
                ("`dbt build`, elapsed", whole.elapsed, one_day.elapsed),
                (
                    "`rowguard features`: running totals, dbt's start and build",
                    whole.command,
                    one_day.command,
                ),
            ],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _flat_row(findings: Findings, size: int) -> tuple[Any, ...]:
    row: list[Any] = [size]
    for kind in ("user", "merchant"):
        median = findings.inserts[f"{kind} {size}"].median
        row += [median, f"{median / findings.inserts[f'{kind} {findings.sizes[0]}'].median:.2f}×"]
    return tuple(row)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [
        columns,
        ["---", *["---:"] * (len(columns) - 1)],
        *([_cell(value) for value in row] for row in rows),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _plot(findings: Findings, path: Path) -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for kind in ("user", "merchant"):
        timed = [findings.inserts[f"{kind} {size}"] for size in findings.sizes]
        axes.plot(findings.sizes, [size.median for size in timed], "o-", label=f"{kind}, median")
        axes.plot(findings.sizes, [size.fast_tenth for size in timed], "o:", label=f"{kind}, fast tenth")
    axes.set(
        xscale="log", xlabel="transactions in 30 days", ylabel="µs inside the server", title="A scored INSERT"
    )
    axes.set_ylim(bottom=0)
    axes.legend()
    with rc_context({"svg.hashsalt": "rowguard"}):
        figure.savefig(path, metadata={"Date": None})
