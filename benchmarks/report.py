"""The report of `rowguard bench`: one Markdown page with its plots beside it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.forest import ForestParameters

PEERS = {"case": "CASE, ours", "nested_if": "nested IF, ours"}
DEFAULT_FOREST = f"{ForestParameters.n_estimators} trees x {ForestParameters.max_leaf_nodes} leaves"
LARGE_FOREST = "100 trees x depth 8"


def write(document: dict[str, Any], folder: Path) -> Path:
    """Write `README.md` and the plots; answers the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [
        "# Benchmarks",
        f"Written by `rowguard bench{' --quick' if document['quick'] else ''}` on {document['machine']}. "
        "Everything was measured in one run: read ratios, not times. Medians; ± is half the distance "
        "between the fastest and the slowest round.",
        "## Goals",
        _table(("measure", "goal", "measured", "met"), goals(document)),
        "## One call, and many rows",
        _functions(document),
        "![One call in a transaction of its own](calls.png)",
        "Bulk: one statement over a table on one core, against `predict_proba` on the same rows, turn by turn; "
        "planning the statement is part of it.",
        _table(
            ("forest", "rows", "µs a row", "scikit-learn", "ratio", "differing"),
            [
                (
                    one["forest"],
                    f"{one['rows']:,}",
                    f"{one['inline_us']:.2f}",
                    f"{one['scikit_learn_us']:.2f}",
                    f"{one['ratio']:.2f} ± {one['spread'] / 2:.2f}",
                    one["differing"],
                )
                for one in document["engine"]["bulk"]
            ],
        ),
    ]
    if document["engine"]["statements"]:
        parts += [
            "orbital and SKompiler print one statement; a row takes it in a transaction of its own, client included.",
            _table(
                ("peer", "forest", "one row µs", "bulk µs/row", "scores that differ"),
                [
                    (one["peer"], one["forest"], one["problem"], "", "")
                    if one["problem"]
                    else (
                        one["peer"],
                        one["forest"],
                        f"{one['one_row_us']:.0f}",
                        f"{one['bulk_us_per_row']:.1f}",
                        f"{one['differing_share']:.0%}",
                    )
                    for one in document["engine"]["statements"]
                ],
            ),
        ]
    parts += ["## How a call grows with the forest", _growth(document), "![Growth](growth.png)"]
    if "inserts" in document:
        parts += ["## Inserts", _inserts(document)]
    if "profile" in document:
        parts += ["## One scored INSERT", *_profile(document)]
    _draw(document, folder)
    page = folder / "README.md"
    page.write_text("\n\n".join(part for part in parts if part) + "\n")
    return page


def goals(document: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """The goals of the engine beside what was measured: measure, goal, measured, whether it is met."""
    engine = document["engine"]
    ours = {one["forest"].split(" (")[0]: one for one in engine["functions"] if one["layout"] == "bitmask"}
    found = []

    def add(measure: str, goal: str, value: float, met: bool, unit: str) -> None:
        found.append((measure, goal, f"{value:.1f}{unit}", "yes" if met else "no"))

    for peer, least in (
        ("m2cgen-style CASE", 40),
        ("m2cgen-style nested IF", 10),
        ("case", 40),
        ("nested_if", 10),
    ):
        other = next(
            one
            for one in engine["functions"]
            if one["layout"] == peer and one["forest"].startswith(LARGE_FOREST)
        )
        ratio = other["own_transaction_us"] / ours[LARGE_FOREST]["own_transaction_us"]
        name = f"one call, {LARGE_FOREST}, against {PEERS.get(peer, peer)}"
        add(name, f"{least}× faster", ratio, ratio >= least, "×")
    single = next(v[0] for k, v in engine["scikit_learn"].items() if k.startswith(DEFAULT_FOREST))
    ratio = single / ours[DEFAULT_FOREST]["own_transaction_us"]
    add(
        f"one call, {DEFAULT_FOREST}, against predict_proba of one row", "60× faster", ratio, ratio >= 60, "×"
    )
    for one in engine["bulk"]:
        if one["forest"] == DEFAULT_FOREST:
            name = f"bulk, {DEFAULT_FOREST}, {one['rows']:,} rows, against scikit-learn on one core"
            add(name, "at most 3×", one["ratio"], one["ratio"] <= 3, "×")
    first = ours[DEFAULT_FOREST]
    add(
        "first call in a connection",
        "under 50 ms",
        first["first_call_ms"],
        first["first_call_ms"] < 50,
        " ms",
    )
    add("memory of a connection", "under 20 MB", first["memory_mb"], first["memory_mb"] < 20, " MB")
    for one in document.get("inserts", []):
        if one["variant"] != "scored":
            continue
        if one["synchronous_commit"] == "on":
            share_wanted = 0.6 if one["clients"] == 1 else 0.5
            name = f"scored INSERTs a second, {one['clients']} client(s), synchronous_commit on"
            share = one["share_of_plain"]
            add(name, f"at least {share_wanted:.0%} of plain", share * 100, share >= share_wanted, " %")
        elif one["clients"] == 1:
            plain = next(
                other["latency_us"]
                for other in document["inserts"]
                if (other["variant"], other["clients"], other["synchronous_commit"]) == ("plain", 1, "off")
            )
            more = one["latency_us"] - plain
            add("a scored INSERT takes longer by, synchronous_commit off", "100 µs", more, more <= 100, " µs")
    return found


def _functions(document: dict[str, Any]) -> str:
    rows: list[tuple[Any, ...]] = [
        (
            one["forest"], one["layout"] or "–", f"{one['text_mb']:.2f}", f"{one['first_call_ms']:.0f}",
            f"{one['memory_mb']:.1f}",
            f"{one['own_transaction_us']:.0f} ± {one['own_transaction_spread_us'] / 2:.0f}",
            f"{one['bulk_us_per_row']:.1f}",
        )
        for one in document["engine"]["functions"]
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


def _growth(document: dict[str, Any]) -> str:
    rows = [
        (
            one["varied"], one["trees"], one["leaves"], one["features"],
            f"{one['own_transaction_us']:.0f}", f"{one['predicted_us']:.0f}",
            f"{one['memory_mb']:.1f}", f"{one['predicted_mb']:.1f}", f"{one['first_call_ms']:.0f}",
        )
        for one in document["growth"]["points"]
    ]  # fmt: skip
    head = (
        "varied", "trees", "leaves", "features", "own transaction µs", "predicted µs", "memory MB", "predicted MB",
        "first call ms",
    )  # fmt: skip
    return _table(head, rows)


def _inserts(document: dict[str, Any]) -> str:
    rows = [
        (
            one["variant"], one["clients"], one["synchronous_commit"], f"{one['per_second']:.0f}",
            f"{one['latency_us']:.0f}", f"{one['share_of_plain']:.0%}", f"{one['spread']:.0%}",
        )
        for one in document["inserts"]
    ]  # fmt: skip
    head = ("insert", "clients", "synchronous_commit", "a second", "latency µs", "share of plain", "spread")
    return _table(head, rows)


def _profile(document: dict[str, Any]) -> list[str]:
    sections = [
        (one["section"], f"{one['microseconds']:.1f} ± {one['spread'] / 2:.1f}")
        for one in document["profile"]["profile"]
    ]
    return [
        "Timed inside the server, each section alone in transactions of its own, `synchronous_commit` off, without "
        "the client's round trip. The plain INSERT is the floor of the table, the one with a no-op trigger that of "
        "any trigger.",
        _table(("section", "µs"), sections),
        "How it grows with the table: [the long run](longrun.md#an-insert-and-the-size-of-the-table).",
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
            (one["layout"], one["own_transaction_us"])
            for one in functions
            if one["forest"].startswith(forest)
        ]
        bars += [
            ("scikit-learn", single)
            for name, (single, _) in document["engine"]["scikit_learn"].items()
            if name.startswith(forest)
        ]
        axis.barh([name for name, _ in bars][::-1], [value for _, value in bars][::-1])
        axis.set(xscale="log", xlabel="µs, one call", title=forest)
    figure.savefig(folder / "calls.png", dpi=90)
    points = document["growth"]["points"]
    figure, axes = canvas(3)
    for axis, varied in zip(axes, ("trees", "leaves", "features"), strict=True):
        line = sorted((one for one in points if one["varied"] == varied), key=lambda one: one[varied])
        for key, style in (("own_transaction_us", "o-"), ("predicted_us", "--")):
            axis.plot(
                [one[varied] for one in line], [one[key] for one in line], style, label=key.split("_")[0]
            )
        axis.set(xlabel=varied, ylabel="µs, one call", ylim=(0, None))
        axis.legend(["measured", "predicted"])
    figure.savefig(folder / "growth.png", dpi=90)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def main() -> None:
    """`report.py DOCUMENT FOLDER` writes the page and prints where it is and what the goals say."""
    document = json.loads(Path(sys.argv[1]).read_text())
    page = write(document, Path(sys.argv[2]))
    print(json.dumps({"page": str(page), "goals": goals(document)}))


if __name__ == "__main__":
    main()
