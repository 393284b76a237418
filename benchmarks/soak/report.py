"""The page of the long run: tables, and curves as SVG.

`python -m benchmarks.soak.report JSON FOLDER` writes it again from a run's document.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

MB = 2**20


def write(document: dict[str, Any], folder: Path) -> Path:
    """Write `longrun.md` and its plots; answers the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "longrun.md"
    grown = document["rows_after"] - document["rows_before"]
    parts = [
        "# The long run",
        f"Written by `make longrun`: {document['rows_before']:,} rows of {document['users']:,} users and 400 days, "
        f"then {document['clients']} sessions at full speed for {document['seconds'] / 60:.0f} minutes, each INSERT "
        f"a transaction with a key, three in a hundred dated up to 15 minutes back; {_nights(document)} "
        f"under that load. {document['live']:,} rows were inserted live, {grown:+,} rows in all. "
        "Clients and server share two cores: read drifts and ratios, not times.",
        "## What stood on the rows afterwards",
        _table(("measure", "value"), _found(document)),
        "## Drift",
        "The first fifth is before any night. Of the last fifth the steps beside a night are left out, unless a "
        f"night lasted to its end: {'so it was here' if _night_lasted(document) else 'not here'}.",
        _table(("measure", "first fifth", "last fifth"), _drift(document)),
        "![Curves](longrun.svg)",
        "Shaded: the nights.",
        _table(
            ("step", "from s", "to s", "what"),
            [
                (one["step"], f"{one['from']:.0f}", f"{one['to']:.0f}", _said(one))
                for one in document["nights"]
            ],
        ),
        "## Plans",
        "As the sessions ran them (`auto_explain`, one row in two thousand, nested statements included). A statement "
        "with more than one line was planned in more than one way.",
        _table(("statement", "plan", "seen"), _plans(document)),
        "## Bloat",
        "How full the pages are: of the table what is not free, of an index the mean of its leaves.",
        _table(
            ("relation", "MB before", "MB after", "full before", "full after"),
            [
                (
                    f"`{after['name']}`",
                    f"{before['bytes'] / MB:.0f}",
                    f"{after['bytes'] / MB:.0f}",
                    _percent(before["full_percent"]),
                    _percent(after["full_percent"]),
                )
                for before, after in zip(document["full_before"], document["full_after"], strict=True)
            ],
        ),
        "## An INSERT and the size of the table",
        "Processor time of the session, which other work on the machine hardly touches; medians, each INSERT in a "
        "transaction of its own, `synchronous_commit` off, the same model and the same features at every size, a "
        "hundred rows a user in 400 days, users with many rows drawn more often. Measured last, totals settled. "
        "Plain: the same INSERT into the same table by a session in which no trigger fires.",
        _table(
            ("rows", "processor µs a scored INSERT", "a plain one", "more"),
            [
                (
                    f"{one['rows']:,}",
                    f"{one['scored_us']:.0f}",
                    f"{one['plain_us']:.0f}",
                    f"{one['scored_us'] - one['plain_us']:.0f}",
                )
                for one in document["growth"]
            ],
        ),
        "![Growth with the table](table_growth.svg)",
    ]
    page.write_text("\n\n".join(parts) + "\n")
    _save(_curves(document), folder / "longrun.svg")
    _save(_growth(document), folder / "table_growth.svg")
    return page


def _found(document: dict[str, Any]) -> list[tuple[str, str]]:
    first, last = document["samples"][0], document["samples"][-1]
    wal = _gone(first, last, "wal_position")
    return [
        ("rows decided live", f"{document['decided']:,}"),
        ("stored with a reason instead", f"{document['with_reason']:,}"),
        ("neither decision nor reason", f"{document['without_decision_or_reason']:,}"),
        ("decisions that do not replay bit for bit, of all", f"{document['unreplayable']:,}"),
        (
            f"velocity values that differ, reckoned anew from raw rows in Python "
            f"({document['velocity_values']:,} values of {document['velocity_rows']:,} rows)",
            f"{document['velocity_wrong']:,}",
        ),
        ("rows whose running totals are left to the next night", f"{document['without_totals']:,}"),
        ("INSERTs that failed", f"{document['failed']:,}"),
        (
            "autovacuums, autoanalyzes of the table",
            f"{_gone(first, last, 'autovacuums')}, {_gone(first, last, 'autoanalyzes')}",
        ),
        ("log written", f"{wal / 2**30:.1f} GB"),
        (
            "log a live row (full pages, late rows and the nights included)",
            f"{wal / max(1, document['live']):,.0f} bytes",
        ),
        ("checkpoints", str(_gone(first, last, "checkpoints"))),
    ]


def _percent(value: float) -> str:
    return "empty" if math.isnan(value) else f"{value:.0f} %"


def _gone(first: dict[str, Any], last: dict[str, Any], name: str) -> int:
    return int(last[name] - first[name])


def _drift(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    early, late = _fifths(document["latency"][1:], document)  # the first step is cold
    memory = [one for one in document["samples"] if one["private_mb"]]
    young, old = _fifths(memory, document, quiet=False)
    found = []
    for name, title in (
        ("per_second", "rows a second"),
        ("p50_ms", "p50, ms"),
        ("p99_ms", "p99, ms"),
        ("late_p50_ms", "p50 of late rows, ms"),
        ("late_p99_ms", "p99 of late rows, ms"),
    ):
        digits = 0 if name == "per_second" else 2
        found.append((title, f"{_median(early, name):,.{digits}f}", f"{_median(late, name):,.{digits}f}"))
    for name, title in (
        ("private_mb", "a session's own memory, MB"),
        ("private_most_mb", "the largest session's, MB"),
        ("pss_mb", "proportional share (PSS), MB"),
        ("rss_mb", "resident, shared buffers included (RSS), MB"),
    ):
        found.append((title, f"{_median(young, name):.1f}", f"{_median(old, name):.1f}"))
    contexts = document["contexts_mb"]
    if contexts:
        found.append(("memory contexts of one session, MB", f"{contexts[0]:.1f}", f"{contexts[-1]:.1f}"))
    return found


def _fifths(
    rows: list[dict[str, Any]], document: dict[str, Any], *, quiet: bool = True
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of the first and of the last fifth of the run, those beside a night left out."""
    end = document["seconds"]
    spans = [(one["from"], one["to"]) for one in document["nights"]]
    calm = [one for one in rows if not quiet or not any(a - 5 <= one["second"] <= b + 5 for a, b in spans)]

    def within(start: float, stop: float) -> list[dict[str, Any]]:
        return [one for one in calm if start <= one["second"] <= stop] or [
            one for one in rows if start <= one["second"] <= stop
        ]

    return within(0, end / 5), within(end * 4 / 5, end)


def _nights(document: dict[str, Any]) -> str:
    count = len({one["step"].partition(":")[0] for one in document["nights"]})
    return f"{count} {'night' if count == 1 else 'nights'} (features, retention, vacuum)"


def _night_lasted(document: dict[str, Any]) -> bool:
    return any(one["to"] >= document["seconds"] - 10 for one in document["nights"])


def _median(rows: list[dict[str, Any]], name: str) -> float:
    return float(statistics.median([one[name] for one in rows if one.get(name) is not None] or [0.0]))


def _said(step: dict[str, Any]) -> str:
    return "" if "features" in step["step"] else str(step["said"])


def _plans(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Indexes of dbt's tables get another name with every build."""
    found: dict[tuple[str, str], int] = {}
    for statement, shapes in document["plans"].items():
        for shape, times in shapes.items():
            same = re.sub(r'"?\b[0-9a-f]{32}\b"?', "its index", shape).replace("|", "/")
            found[statement.replace("|", "/"), same] = (
                found.get((statement.replace("|", "/"), same), 0) + times
            )
    most = sorted(found.items(), key=lambda one: -one[1])
    return [(f"`{statement}`", shape, str(times)) for (statement, shape), times in most[:40]]


def _curves(document: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(11, 9), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots(3, 2, sharex=True)
    latency, samples = document["latency"], document["samples"]
    _lines(axes[0, 0], "rows a second", latency, {"per_second": "rows a second"})
    _lines(
        axes[0, 1],
        "latency, ms",
        latency,
        {"p50_ms": "p50", "p99_ms": "p99", "late_p99_ms": "p99 of late rows"},
    )
    axes[0, 1].set_yscale("log")
    _lines(
        axes[1, 0],
        "memory of a session, MB",
        samples,
        {"private_mb": "own", "pss_mb": "PSS", "rss_mb": "RSS", "private_most_mb": "own, largest"},
    )
    sizes = [
        {"second": one["second"], "table": one["table_bytes"] / MB, "totals": one["totals_index_bytes"] / MB,
         "indexes": one["index_bytes"] / MB}
        for one in samples
    ]  # fmt: skip
    _lines(
        axes[1, 1],
        "size, MB",
        sizes,
        {"table": "table", "indexes": "all indexes", "totals": "velocity index"},
    )
    wal = [
        {"second": one["second"], "wal": (one["wal_position"] - samples[0]["wal_position"]) / 2**30}
        for one in samples
    ]
    _lines(axes[2, 0], "log written, GB", wal, {"wal": "log"})
    _lines(axes[2, 1], "rows", samples, {"dead_rows": "dead rows", "updated_rows": "rows updated, in all"})
    for axis in axes.flat:
        for step in document["nights"]:
            axis.axvspan(step["from"], step["to"], alpha=0.12, color="tab:gray", linewidth=0)
    for axis in axes[2]:
        axis.set_xlabel("seconds")
    return figure


def _lines(axis: Any, title: str, rows: Sequence[dict[str, Any]], names: dict[str, str]) -> None:
    for name, label in names.items():
        points = [(one["second"], one[name]) for one in rows if one.get(name) is not None]
        axis.plot([x for x, _ in points], [y for _, y in points], label=label, linewidth=1.2)
    axis.set_title(title, fontsize=10)
    axis.set_ylim(bottom=None if title.startswith("latency") else 0)
    if len(names) > 1:
        axis.legend(fontsize=7)


def _growth(document: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    FigureCanvasSVG(figure)
    axis = figure.subplots()
    rows = [one["rows"] for one in document["growth"]]
    for step in ("scored", "plain"):
        axis.plot(rows, [one[f"{step}_us"] for one in document["growth"]], marker="o", label=step)
    axis.set_xscale("log")
    axis.set_ylim(bottom=0)
    axis.set_xlabel("rows in the table")
    axis.set_ylabel("processor µs an INSERT")
    axis.legend()
    return figure


def _save(figure: Figure, path: Path) -> None:
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "rowguard"}):
        figure.savefig(path, format="svg", metadata={"Date": None})


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


if __name__ == "__main__":
    write(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
