"""The page of the soak test: tables, and curves as SVG.

`python -m benchmarks.soak.report JSON FOLDER` renders it again from a run's document.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

MB = 2**20


def write(document: dict[str, Any], folder: Path) -> Path:
    """Write `soak-test.md` and its plots.

    Args:
        document: Result of `benchmarks.soak.run.measure`.
        folder: Where the page and the plots go.

    Returns:
        The page's path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "soak-test.md"
    added = document["rows_after"] - document["rows_before"]
    parts = [
        "# Soak test",
        f"Written by `make soak`: {document['rows_before']:,} rows of {document['users']:,} users and 400 days, "
        f"then {document['clients']} sessions at full speed for {document['seconds'] / 60:.0f} minutes, each INSERT "
        f"a transaction with a key, three in a hundred up to 15 minutes late; {_maintenance(document)} "
        f"under that load. {document['live']:,} rows were inserted live, {added:+,} rows in total. "
        "Clients and server share two cores: read drifts and ratios, not times.",
        "## Checks of the stored rows",
        _table(("measure", "value"), _checks(document)),
        "## Drift",
        "The first fifth is before any maintenance run. Of the last fifth the intervals during a run are left out"
        f"{', but a run lasted to the end of this test' if _lasted_to_the_end(document) else ''}.",
        _table(("measure", "first fifth", "last fifth"), _drift(document)),
        "![Curves](soak-test.svg)",
        "Shaded: the maintenance runs.",
        _table(
            ("step", "from s", "to s", "result"),
            [
                (step["step"], f"{step['from']:.0f}", f"{step['to']:.0f}", _result(step))
                for step in document["maintenance"]
            ],
        ),
        "## Plans",
        "The sessions' own plans (`auto_explain`, one row in two thousand, nested statements included). A statement "
        "with more than one line had more than one plan.",
        _table(("statement", "plan", "count"), _plans(document)),
        "## Bloat",
        "How full the pages are: of the table the part that is not free, of an index the mean of its leaves.",
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
        "Processor time of the session, which hardly depends on other work on the machine. Medians, each INSERT in a "
        "separate transaction, `synchronous_commit` off, the same model and features at every size, a hundred rows "
        "per user in 400 days, users drawn in proportion to their rows. Measured last, with totals recomputed. "
        "Plain: the same INSERT into the same table by a session in which no trigger fires.",
        _table(
            ("rows", "processor µs per scored INSERT", "per plain INSERT", "difference"),
            [
                (
                    f"{point['rows']:,}",
                    f"{point['scored_us']:.0f}",
                    f"{point['plain_us']:.0f}",
                    f"{point['scored_us'] - point['plain_us']:.0f}",
                )
                for point in document["scaling"]
            ],
        ),
        "![Scaling with the table](table_growth.svg)",
    ]
    page.write_text("\n\n".join(parts) + "\n")
    _save(_curves(document), folder / "soak-test.svg")
    _save(_scaling(document), folder / "table_growth.svg")
    return page


def _checks(document: dict[str, Any]) -> list[tuple[str, str]]:
    first, last = document["samples"][0], document["samples"][-1]
    wal = _increase(first, last, "wal_position")
    return [
        ("rows scored live", f"{document['decided']:,}"),
        ("stored unscored with a reason", f"{document['with_reason']:,}"),
        ("neither decision nor reason", f"{document['without_decision_or_reason']:,}"),
        ("decisions that do not replay bit for bit", f"{document['not_reproducible']:,}"),
        (
            f"velocity values that differ when recomputed from raw rows in Python "
            f"({document['velocity_values']:,} values of {document['velocity_rows']:,} rows)",
            f"{document['velocity_wrong']:,}",
        ),
        ("rows with pending running totals", f"{document['without_totals']:,}"),
        ("INSERTs that failed", f"{document['failed']:,}"),
        (
            "autovacuums, autoanalyzes of the table",
            f"{_increase(first, last, 'autovacuums')}, {_increase(first, last, 'autoanalyzes')}",
        ),
        ("WAL written", f"{wal / 2**30:.1f} GB"),
        (
            "WAL per live row (full pages, late rows and maintenance included)",
            f"{wal / max(1, document['live']):,.0f} bytes",
        ),
        ("checkpoints", str(_increase(first, last, "checkpoints"))),
    ]


def _percent(value: float) -> str:
    return "empty" if math.isnan(value) else f"{value:.0f} %"


def _increase(first: dict[str, Any], last: dict[str, Any], name: str) -> int:
    return int(last[name] - first[name])


def _drift(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    early, late = _fifths(document["latency"][1:], document)  # the first interval is cold
    memory = [sample for sample in document["samples"] if sample["private_mb"]]
    early_memory, late_memory = _fifths(memory, document, outside_maintenance=False)
    rows = []
    for name, title in (
        ("per_second", "rows per second"),
        ("p50_ms", "p50, ms"),
        ("p99_ms", "p99, ms"),
        ("late_p50_ms", "p50 of late rows, ms"),
        ("late_p99_ms", "p99 of late rows, ms"),
    ):
        digits = 0 if name == "per_second" else 2
        rows.append((title, f"{_median(early, name):,.{digits}f}", f"{_median(late, name):,.{digits}f}"))
    for name, title in (
        ("private_mb", "private memory of a session, MB"),
        ("private_max_mb", "of the largest session, MB"),
        ("pss_mb", "proportional share (PSS), MB"),
        ("rss_mb", "resident, shared buffers included (RSS), MB"),
    ):
        rows.append((title, f"{_median(early_memory, name):.1f}", f"{_median(late_memory, name):.1f}"))
    contexts = document["contexts_mb"]
    if contexts:
        rows.append(("memory contexts of one session, MB", f"{contexts[0]:.1f}", f"{contexts[-1]:.1f}"))
    return rows


def _fifths(
    rows: list[dict[str, Any]], document: dict[str, Any], *, outside_maintenance: bool = True
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of the first and the last fifth of the run, those during maintenance left out."""
    end = document["seconds"]
    spans = [(step["from"], step["to"]) for step in document["maintenance"]]
    candidates = [
        row
        for row in rows
        if not outside_maintenance or not any(a - 5 <= row["second"] <= b + 5 for a, b in spans)
    ]

    def within(start: float, stop: float) -> list[dict[str, Any]]:
        return [row for row in candidates if start <= row["second"] <= stop] or [
            row for row in rows if start <= row["second"] <= stop
        ]

    return within(0, end / 5), within(end * 4 / 5, end)


def _maintenance(document: dict[str, Any]) -> str:
    count = len({step["step"].partition(":")[0] for step in document["maintenance"]})
    return f"{count} maintenance run{'' if count == 1 else 's'} (features, archive, vacuum)"


def _lasted_to_the_end(document: dict[str, Any]) -> bool:
    return any(step["to"] >= document["seconds"] - 10 for step in document["maintenance"])


def _median(rows: list[dict[str, Any]], name: str) -> float:
    return float(statistics.median([row[name] for row in rows if row.get(name) is not None] or [0.0]))


def _result(step: dict[str, Any]) -> str:
    return "" if "features" in step["step"] else str(step["result"])


def _plans(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Rows of statement, plan and count; indexes of dbt's tables get another name with every build."""
    counts: Counter[tuple[str, str]] = Counter()
    for statement, shapes in document["plans"].items():
        for shape, times in shapes.items():
            same = re.sub(r'"?\b[0-9a-f]{32}\b"?', "its index", shape).replace("|", "/")
            counts[statement.replace("|", "/"), same] += times
    return [(f"`{statement}`", shape, str(times)) for (statement, shape), times in counts.most_common(40)]


def _curves(document: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(11, 9), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots(3, 2, sharex=True)
    latency, samples = document["latency"], document["samples"]
    _lines(axes[0, 0], "rows per second", latency, {"per_second": "rows per second"})
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
        {"private_mb": "private", "pss_mb": "PSS", "rss_mb": "RSS", "private_max_mb": "private, largest"},
    )
    sizes = [
        {"second": sample["second"], "table": sample["table_bytes"] / MB,
         "totals": sample["totals_index_bytes"] / MB, "indexes": sample["index_bytes"] / MB}
        for sample in samples
    ]  # fmt: skip
    _lines(
        axes[1, 1],
        "size, MB",
        sizes,
        {"table": "table", "indexes": "all indexes", "totals": "velocity index"},
    )
    wal = [
        {"second": sample["second"], "wal": (sample["wal_position"] - samples[0]["wal_position"]) / 2**30}
        for sample in samples
    ]
    _lines(axes[2, 0], "WAL written, GB", wal, {"wal": "WAL"})
    _lines(axes[2, 1], "rows", samples, {"dead_rows": "dead rows", "updated_rows": "rows updated, in total"})
    for axis in axes.flat:
        for step in document["maintenance"]:
            axis.axvspan(step["from"], step["to"], alpha=0.12, color="tab:gray", linewidth=0)
    for axis in axes[2]:
        axis.set_xlabel("seconds")
    return figure


def _lines(axis: Any, title: str, rows: Sequence[dict[str, Any]], names: dict[str, str]) -> None:
    for name, label in names.items():
        points = [(row["second"], row[name]) for row in rows if row.get(name) is not None]
        axis.plot([x for x, _ in points], [y for _, y in points], label=label, linewidth=1.2)
    axis.set_title(title, fontsize=10)
    axis.set_ylim(bottom=None if title.startswith("latency") else 0)
    if len(names) > 1:
        axis.legend(fontsize=7)


def _scaling(document: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    FigureCanvasSVG(figure)
    axis = figure.subplots()
    rows = [point["rows"] for point in document["scaling"]]
    for step in ("scored", "plain"):
        axis.plot(rows, [point[f"{step}_us"] for point in document["scaling"]], marker="o", label=step)
    axis.set_xscale("log")
    axis.set_ylim(bottom=0)
    axis.set_xlabel("rows in the table")
    axis.set_ylabel("processor µs per INSERT")
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
