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
    api_only: Annotated[bool, typer.Option("--api", help="Only the HTTP API under load.")] = False,
    as_json: Json = False,
) -> None:
    """The benchmark tables: the engine's layouts against scikit-learn, scored inserts against plain ones, and the
    HTTP API against the classic service with a pickled model.

    Runs on private servers of its own; the database of this checkout is left alone. Compare ratios, not times:
    they come from one run on one machine.

    Example: rowguard bench --quick
    """
    from rowguard.local import temporary_server

    document: dict[str, Any] = {}
    with steps(quiet=as_json) as step:
        if not api_only:
            step("engine: layouts against scikit-learn")
            with temporary_server() as server:
                calls = "200" if quick else "1000"
                arguments = ("--database-url", server.url, "--json", "--calls", calls)
                document["engine"] = _run("engine/layouts.py", *arguments)
            step("inserts: scored against plain")
            document["inserts"] = _run("inserts/run.py", *(("2", "2") if quick else ("10", "5")))
        step("API: against the classic service, and overloaded")
        length = ("--seconds", "2", "--rounds", "1") if quick else ("--seconds", "6", "--rounds", "3")
        document["api"] = _run("api/run.py", *length)
    if as_json:
        print_json(document)
        return
    if not api_only:
        _print_engine(document["engine"])
        _print_inserts(document["inserts"])
    _print_api(document["api"])
    next_steps(
        "docs/engine.md      what the layouts are and what was tried",
        "docs/api.md         the API under load",
    )


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


def _print_api(api: dict[str, Any]) -> None:
    columns = {
        "endpoint": "endpoint",
        "connections": "connections",
        "service": "service",
        "per_second": "requests/s",
        "p50_ms": "p50 ms",
        "p99_ms": "p99 ms",
        "errors": "errors",
        "memory_mb": "memory MB",
    }
    rows = [[one[name] for name in columns] for one in api["load"]]
    out.print(table([*columns.values()], rows, title=f"HTTP under load, {api['workers']} worker each"))
    columns = {
        "endpoint": "endpoint",
        "connections": "connections",
        "per_second": "served/s",
        "refused_per_second": "refused/s",
        "p99_ms": "p99 ms",
        "errors": "errors",
        "p50_ms_afterwards": "p50 ms afterwards",
    }
    rows = [[one[name] for name in columns] for one in api["overload"]]
    title = "Overload: ten times what may be under way, trying again at once"
    out.print(table([*columns.values()], rows, title=title))
