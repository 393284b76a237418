"""The report of `make bench`: one Markdown page and its plots."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.forest import ForestParameters

PEERS = {"case": "layout case", "nested_if": "layout nested_if"}
DEFAULT_FOREST = f"{ForestParameters.n_estimators} trees x {ForestParameters.max_leaf_nodes} leaves"
LARGE_FOREST = "100 trees x depth 8"


def write(document: dict[str, Any], folder: Path) -> Path:
    """Write `README.md` and the plots.

    Args:
        document: Result of `benchmarks.__main__.measure`.
        folder: Where the page and the plots go.

    Returns:
        The page's path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = [
        "# Benchmarks",
        f"Written by `python -m benchmarks{' --quick' if document['quick'] else ''}` on {document['machine']}. "
        "Everything was measured in one run: read ratios, not times. Medians; ± is half the distance "
        "between the fastest and the slowest round.",
        "## Goals",
        _table(("measure", "goal", "measured", "met"), goals(document)),
        "## One call, and many rows",
        _functions(document),
        "![One call per transaction](calls.png)",
        "Bulk: one statement over a table on one core, against `predict_proba` on the same rows, alternately; "
        "the time includes planning.",
        _table(
            ("forest", "rows", "µs per row", "scikit-learn", "ratio", "differing"),
            [
                (
                    row["forest"],
                    f"{row['rows']:,}",
                    f"{row['inline_us']:.2f}",
                    f"{row['scikit_learn_us']:.2f}",
                    f"{row['ratio']:.2f} ± {row['spread'] / 2:.2f}",
                    row["differing"],
                )
                for row in document["engine"]["bulk"]
            ],
        ),
    ]
    if document["engine"]["statements"]:
        parts += [
            "orbital and SKompiler print one statement: one row per transaction, client included, and in bulk.",
            _table(
                ("peer", "forest", "one row µs", "bulk µs/row", "scores that differ"),
                [
                    (row["peer"], row["forest"], row["problem"], "", "")
                    if row["problem"]
                    else (
                        row["peer"],
                        row["forest"],
                        f"{row['one_row_us']:.0f}",
                        f"{row['bulk_us_per_row']:.1f}",
                        f"{row['differing_fraction']:.0%}",
                    )
                    for row in document["engine"]["statements"]
                ],
            ),
        ]
    parts += ["## How a call scales with the forest", _scaling(document), "![Scaling](growth.png)"]
    if "inserts" in document:
        parts += ["## Inserts", _inserts(document)]
    if "profile" in document:
        parts += ["## One scored INSERT", *_profile(document)]
    _draw(document, folder)
    page = folder / "README.md"
    page.write_text("\n\n".join(part for part in parts if part) + "\n")
    return page


def goals(document: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """The goals of the engine and the INSERT: measure, goal, measured value, whether it is met."""
    engine = document["engine"]
    ours = {row["forest"].split(" (")[0]: row for row in engine["functions"] if row["layout"] == "bitmask"}
    rows = []

    def add(measure: str, goal: str, value: float, met: bool, unit: str) -> None:
        rows.append((measure, goal, f"{value:.1f}{unit}", "yes" if met else "no"))

    for peer, min_ratio in (
        ("m2cgen-style CASE", 40),
        ("m2cgen-style nested IF", 10),
        ("case", 40),
        ("nested_if", 10),
    ):
        other = next(
            row
            for row in engine["functions"]
            if row["layout"] == peer and row["forest"].startswith(LARGE_FOREST)
        )
        ratio = other["own_transaction_us"] / ours[LARGE_FOREST]["own_transaction_us"]
        name = f"one call, {LARGE_FOREST}, against {PEERS.get(peer, peer)}"
        add(name, f"{min_ratio}× faster", ratio, ratio >= min_ratio, "×")
    single = next(v[0] for k, v in engine["scikit_learn"].items() if k.startswith(DEFAULT_FOREST))
    ratio = single / ours[DEFAULT_FOREST]["own_transaction_us"]
    add(
        f"one call, {DEFAULT_FOREST}, against predict_proba of one row", "60× faster", ratio, ratio >= 60, "×"
    )
    for row in engine["bulk"]:
        if row["forest"] == DEFAULT_FOREST:
            name = f"bulk, {DEFAULT_FOREST}, {row['rows']:,} rows, against scikit-learn on one core"
            add(name, "at most 3×", row["ratio"], row["ratio"] <= 3, "×")
    first = ours[DEFAULT_FOREST]
    add(
        "first call in a connection",
        "under 50 ms",
        first["first_call_ms"],
        first["first_call_ms"] < 50,
        " ms",
    )
    add("memory of a connection", "under 20 MB", first["memory_mb"], first["memory_mb"] < 20, " MB")
    for row in document.get("inserts", []):
        if row["variant"] != "scored":
            continue
        if row["synchronous_commit"] == "on":
            min_fraction = 0.6 if row["clients"] == 1 else 0.55
            name = f"scored INSERTs per second, {row['clients']} client(s), synchronous_commit on"
            fraction = row["share_of_plain"]
            add(name, f"at least {min_fraction:.0%} of plain", fraction * 100, fraction >= min_fraction, " %")
        elif row["clients"] == 1:
            plain = next(
                other["latency_us"]
                for other in document["inserts"]
                if (other["variant"], other["clients"], other["synchronous_commit"]) == ("plain", 1, "off")
            )
            more = row["latency_us"] - plain
            add("a scored INSERT takes longer by, synchronous_commit off", "100 µs", more, more <= 100, " µs")
    return rows


def _functions(document: dict[str, Any]) -> str:
    rows: list[tuple[Any, ...]] = [
        (
            row["forest"], row["layout"] or "–", f"{row['text_mb']:.2f}", f"{row['first_call_ms']:.0f}",
            f"{row['memory_mb']:.1f}",
            f"{row['own_transaction_us']:.0f} ± {row['own_transaction_spread_us'] / 2:.0f}",
            f"{row['bulk_us_per_row']:.1f}",
        )
        for row in document["engine"]["functions"]
    ]  # fmt: skip
    rows += [
        (forest, "scikit-learn", "", "", "", f"{single:.0f}", f"{bulk:.1f}")
        for forest, (single, bulk) in document["engine"]["scikit_learn"].items()
    ]
    head = (
        "forest",
        "form",
        "text MB",
        "first call ms",
        "memory MB",
        "own transaction µs",
        "called in bulk µs/row",
    )
    return _table(head, rows)


def _scaling(document: dict[str, Any]) -> str:
    rows = [
        (
            row["varied"], row["trees"], row["leaves"], row["features"],
            f"{row['own_transaction_us']:.0f}", f"{row['predicted_us']:.0f}",
            f"{row['memory_mb']:.1f}", f"{row['predicted_mb']:.1f}", f"{row['first_call_ms']:.0f}",
        )
        for row in document["scaling"]["points"]
    ]  # fmt: skip
    head = (
        "varied", "trees", "leaves", "features", "own transaction µs", "predicted µs", "memory MB", "predicted MB",
        "first call ms",
    )  # fmt: skip
    return _table(head, rows)


def _inserts(document: dict[str, Any]) -> str:
    rows = [
        (
            row["variant"], row["clients"], row["synchronous_commit"], f"{row['per_second']:.0f}",
            f"{row['latency_us']:.0f}", f"{row['share_of_plain']:.0%}", f"{row['spread']:.0%}",
        )
        for row in document["inserts"]
    ]  # fmt: skip
    head = (
        "insert",
        "clients",
        "synchronous_commit",
        "per second",
        "latency µs",
        "rate against plain",
        "spread",
    )
    return _table(head, rows)


def _profile(document: dict[str, Any]) -> list[str]:
    sections = [
        (row["section"], f"{row['microseconds']:.1f} ± {row['spread'] / 2:.1f}")
        for row in document["profile"]["profile"]
    ]
    return [
        "Timed inside the server, each section in separate transactions, `synchronous_commit` off, without the "
        "client's round trip. The plain INSERT is the lower bound of the table, the no-op trigger of triggers.",
        _table(("section", "µs"), sections),
        "How it scales with the table: [the soak test](soak-test.md#an-insert-and-the-size-of-the-table).",
    ]


def _draw(document: dict[str, Any], folder: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    def canvas(columns: int) -> tuple[Any, Any]:
        figure = Figure(figsize=(4.2 * columns, 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        return figure, figure.subplots(1, columns, squeeze=False)[0]

    functions = document["engine"]["functions"]
    forests = (DEFAULT_FOREST, LARGE_FOREST)
    figure, axes = canvas(len(forests))
    for axis, forest in zip(axes, forests, strict=True):
        bars = [
            (row["layout"], row["own_transaction_us"])
            for row in functions
            if row["forest"].startswith(forest)
        ]
        bars += [
            ("scikit-learn", single)
            for name, (single, _) in document["engine"]["scikit_learn"].items()
            if name.startswith(forest)
        ]
        axis.barh([name for name, _ in bars][::-1], [value for _, value in bars][::-1])
        axis.set(xscale="log", xlabel="µs, one call", title=forest)
    figure.savefig(folder / "calls.png", dpi=90)
    points = document["scaling"]["points"]
    figure, axes = canvas(3)
    for axis, varied in zip(axes, ("trees", "leaves", "features"), strict=True):
        line = sorted((row for row in points if row["varied"] == varied), key=lambda row: row[varied])
        for key, style in (("own_transaction_us", "o-"), ("predicted_us", "--")):
            axis.plot(
                [row[varied] for row in line], [row[key] for row in line], style, label=key.split("_")[0]
            )
        axis.set(xlabel=varied, ylabel="µs, one call", ylim=(0, None))
        axis.legend(["measured", "predicted"])
    figure.savefig(folder / "growth.png", dpi=90)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def main() -> None:
    """`python -m benchmarks.report DOCUMENT FOLDER` writes the page again from a document."""
    document = json.loads(Path(sys.argv[1]).read_text())
    print(write(document, Path(sys.argv[2])))


if __name__ == "__main__":
    main()
