"""The findings as a page of markdown, with the flatness curve as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.features._build import Built
from benchmarks.features._concurrency import Crossed, Run
from benchmarks.features._cost import Timed
from benchmarks.features._replay import Replayed


@dataclass(frozen=True)
class Findings:
    """Everything that one run found."""

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
    plan: str
    runs: list[Run]
    crossed: dict[str, Crossed]


def write_report(found: Findings, folder: Path) -> None:
    """features.md and features-flatness.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "features.md").write_text(page(found))
    plot(found, folder / "features-flatness.svg")


def page(found: Findings) -> str:
    """The page."""
    replayed = found.replayed
    lines = [
        "# Features: the same everywhere, and what they cost",
        "",
        "Written by `python -m benchmarks.features.run" + (" --quick" if found.is_quick else "") + "`, "
        f"{found.measured_at:%Y-%m-%d %H:%M} UTC, {found.machine}. The data are the fraud-detection handbook's "
        "simulated transactions. Times of a machine that does other work at the same time are too long; "
        "compare ratios.",
        "",
        "## One day replayed by INSERT",
        "",
        f"{found.history_rows + found.day_rows:,} transactions of history, features built, a model deployed; then "
        "the "
        f"{replayed.rows:,} transactions of the next day, one INSERT and commit each with its own `occurred_at`. "
        f"Rows without a decision: {replayed.unscored:,}.",
        "",
        *table(
            ["compared", "rows", "values", "differences"],
            [
                ("INSERT and the live function that `score_transaction` and `/predict` call, just before it",
                 replayed.calls, replayed.asked_values, replayed.asked_differences),
                ("INSERT and `score_transaction`: fraud_probability, bit for bit",
                 replayed.calls, replayed.calls, replayed.answer_differences),
                ("INSERT and the training set built afterwards",
                 replayed.training_rows, replayed.training_values, replayed.training_differences),
            ],
        ),
        "",
        "## A scored INSERT stays flat",
        "",
        "Inside the server, a transaction for each call, commit not counted; users and merchants with so many "
        "transactions in 30 days. Sizes are measured in turn, in rounds.",
        "",
        *table(
            ["transactions in 30 days", "user: median µs", "user: fast tenth µs", "to the first",
             "merchant: median µs", "merchant: fast tenth µs", "to the first"],
            [flat_row(found, size) for size in found.sizes],
        ),
        "",
        "![Time of a scored INSERT by the user's or merchant's transactions in 30 days](features-flatness.svg)",
        "",
        "## The feature read",
        "",
        f"{found.reads['features'].calls:,} calls, ordinary users of the data. *Plain*: the same rows by the same "
        "indexes in one statement of a PL/pgSQL function, nothing computed. *Window*: every row of the longest "
        "window, "
        "for one count and one sum: quicker for ordinary users, and growing with their rows.",
        "",
        *table(
            ["read", "median µs", "fast tenth µs"],
            [
                ("features (live function, all values)", *spent(found.reads["features"])),
                ("plain", *spent(found.reads["plain"])),
                ("window", *spent(found.reads["window"])),
                ("an assignment (the clock's own cost)", *spent(found.reads["nothing"])),
                ("**features beyond plain**",
                 found.reads["features"].median - found.reads["plain"].median,
                 found.reads["features"].fast_tenth - found.reads["plain"].fast_tenth),
            ],
        ),
        "",
        "The plan of the live function's query for one such user:",
        "",
        "```",
        found.plan,
        "```",
        "",
        "## Many sessions",
        "",
        "Autocommit INSERTs of one user at a time, `synchronous_commit` as the server has it. Exact: every user's "
        "rows "
        "saw exactly 0, 1, 2, … rows before them.",
        "",
        *table(
            ["sessions", "inserts", "per second", "exact"],
            [(one.what, one.inserts, one.per_second, "yes" if one.is_exact else "NO") for one in found.runs],
        ),
        "",
        "Transactions of two users in opposite orders, four sessions, tried again after a deadlock (40P01):",
        "",
        *table(
            ["way", "transactions", "deadlocks", "other errors", "exact in the end"],
            [
                (way, one.transactions, one.deadlocks, one.other_errors, "yes" if one.is_exact else "NO")
                for way, one in found.crossed.items()
            ],
        ),
        "",
        "## The training set",
        "",
        "Seconds, as dbt notes them for its nodes; up to four nodes at a time.",
        "",
        *table(
            ["node", f"{found.history_rows:,} rows from scratch", f"{found.day_rows:,} rows of one more day"],
            [
                *((name, seconds, found.one_day.nodes.get(name)) for name, seconds in sorted(
                    found.whole.nodes.items(), key=lambda item: -item[1]) if seconds >= 0.2),
                ("**all models and functions**", found.whole.models, found.one_day.models),
                ("data tests", found.whole.tests, found.one_day.tests),
                ("`dbt build`, elapsed", found.whole.elapsed, found.one_day.elapsed),
                (
                    "`rowguard features`: running totals settled, dbt's start and build",
                    found.whole.command, found.one_day.command,
                ),
            ],
        ),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def flat_row(found: Findings, size: int) -> tuple[Any, ...]:
    row: list[Any] = [size]
    for kind in ("user", "merchant"):
        one, first = found.inserts[f"{kind} {size}"], found.inserts[f"{kind} {found.sizes[0]}"]
        row += [one.median, one.fast_tenth, f"{one.median / first.median:.2f}×"]
    return tuple(row)


def spent(one: Timed) -> tuple[float, float]:
    return one.median, one.fast_tenth


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """A markdown table whose numbers stand to the right."""
    numeric = [all(isinstance(row[place], int | float) for row in rows) for place in range(len(columns))]
    return [
        "| " + " | ".join(columns) + " |",
        "| " + " | ".join("---:" if one else "---" for one in numeric) + " |",
        *("| " + " | ".join(shown(value) for value in row) + " |" for row in rows),
    ]


def shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def plot(found: Findings, path: Path) -> None:
    """Median and fast tenth by size, for users and for merchants."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "rowguard"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for kind, colour in (("user", "tab:blue"), ("merchant", "tab:orange")):
        timed = [found.inserts[f"{kind} {size}"] for size in found.sizes]
        axes.plot(found.sizes, [one.median for one in timed], "o-", color=colour, label=f"{kind}, median")
        axes.plot(
            found.sizes, [one.fast_tenth for one in timed], "o:", color=colour, label=f"{kind}, fast tenth"
        )
    axes.set(
        xscale="log", xlabel="transactions in 30 days", ylabel="µs inside the server", title="A scored INSERT"
    )
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
