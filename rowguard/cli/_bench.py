"""bench: runs the programs in `benchmarks/` and writes their report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Annotated, Any

import typer

from rowguard.cli._output import Json, next_steps, out, print_json, steps, table


def register(app: typer.Typer) -> None:
    app.command()(bench)


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Short runs; the ratios are rougher.")] = False,
    as_json: Json = False,
) -> None:
    """The benchmark tables: the engine's layouts against scikit-learn, and scored inserts against plain ones.

    Runs on private servers of its own; the database of this checkout is left alone. Compare ratios, not times:
    they come from one run on one machine.

    Example: rowguard bench --quick
    """
    from rowguard.local import temporary_server

    with steps(quiet=as_json) as step:
        step("engine: layouts against scikit-learn")
        with temporary_server() as server:
            calls = "200" if quick else "1000"
            engine = _run("engine/layouts.py", "--database-url", server.url, "--json", "--calls", calls)
        step("inserts: scored against plain")
        inserts = _run("inserts/run.py", *(("2", "2") if quick else ("10", "5")))
    document = {"engine": engine, "inserts": inserts}
    if as_json:
        print_json(document)
        return
    _print_engine(engine)
    _print_inserts(inserts)
    next_steps("docs/engine.md      what the layouts are and what was tried")


def _run(program: str, *arguments: str) -> Any:
    from rowguard.errors import RowguardError
    from rowguard.settings import CHECKOUT

    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "benchmarks" / program), *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        raise RowguardError(f"benchmarks/{program} failed: {last}")
    return json.loads(done.stdout)


def _print_engine(engine: dict[str, Any]) -> None:
    rows = [
        (
            one["forest"],
            one["layout"] or "–",
            one["text_mb"],
            one["first_call_ms"],
            one["memory_mb"],
            one["own_transaction_us"],
            one["bulk_us_per_row"],
        )
        for one in engine["functions"]
    ]
    rows += [
        (forest, "scikit-learn", None, None, None, single, bulk)
        for forest, (single, bulk) in engine["scikit_learn"].items()
    ]
    columns = [
        "forest",
        "layout",
        "text MB",
        "first call ms",
        "memory MB",
        "own transaction µs",
        "bulk µs/row",
    ]
    out.print(table(columns, rows, title="One call: layouts and scikit-learn"))


def _print_inserts(inserts: list[dict[str, Any]]) -> None:
    rows = [
        (
            one["variant"],
            one["clients"],
            one["synchronous_commit"],
            round(one["per_second"]),
            one["latency_us"],
            one["share_of_plain"],
            one["spread"],
        )
        for one in inserts
    ]
    columns = [
        "insert",
        "clients",
        "synchronous_commit",
        "per second",
        "latency µs",
        "share of plain",
        "spread",
    ]
    out.print(table(columns, rows, title="Inserts, velocity features included"))
