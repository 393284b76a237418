"""bench: runs the programs in `benchmarks/` and writes their report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rowguard.cli._output import Json, next_steps, out, print_json, steps, table


def register(app: typer.Typer) -> None:
    app.command()(bench)


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Short runs; the ratios are rougher.")] = False,
    api_only: Annotated[bool, typer.Option("--api", help="Only the HTTP API under load.")] = False,
    inserts: Annotated[
        bool, typer.Option("--inserts/--no-inserts", help="Measure INSERTs too, or the engine alone.")
    ] = True,
    peers: Annotated[
        bool, typer.Option("--peers/--no-peers", help="Install and measure orbital and SKompiler too.")
    ] = True,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the report; docs/benchmarks, for --quick .rowguard/bench/report."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the engine, the INSERT path and the HTTP API beside their peers, and write a report with plots.

    Runs on private servers of its own; the database of this checkout is left alone. Compare ratios, not times:
    they come from one run on one machine.

    Example: rowguard bench --quick --no-peers
    """
    from rowguard.local import temporary_server
    from rowguard.settings import PROJECT_ROOT, settings

    home = settings().state_dir.absolute() / "bench"
    folder = output or (home / "report" if quick else PROJECT_ROOT / "docs" / "benchmarks")
    calls = "200" if quick else "1000"
    document: dict[str, Any] = {"quick": quick, "machine": _machine()}
    with steps(quiet=as_json) as step:
        if not api_only:
            with temporary_server() as server:
                step("engine: layouts, peers, bulk")
                options = ["--calls", calls]
                options += ["--environments", str(home / "peers")] if peers else []
                address = ("--database-url", server.url)
                document["engine"] = _run("engine/layouts.py", *address, "--json", *options)
                step("engine: growth with trees, leaves, features")
                document["growth"] = _run("engine/growth.py", *address, *(["--quick"] if quick else []))
            if inserts:
                step("inserts: scored against plain")
                document["inserts"] = _run("inserts/run.py", *(("2", "2") if quick else ("8", "5")))
                step("inserts: profile")
                document["profile"] = _run("inserts/sections.py", calls)
            step("report")
            document |= _run_report(document, folder)
        if api_only or inserts:
            step("API: against the classic service, and overloaded")
            length = ("--seconds", "2", "--rounds", "1") if quick else ("--seconds", "6", "--rounds", "3")
            document["api"] = _run("api/run.py", *length)
    if as_json:
        print_json(document)
        return
    if not api_only:
        out.print(table(["measure", "goal", "measured", "met"], document["goals"], title="Goals"))
        _print_engine(document["engine"])
    if "inserts" in document:
        _print_inserts(document["inserts"])
    if "api" in document:
        _print_api(document["api"])
    next_steps(
        f"{document.get('page', 'docs/benchmarks/')}      the report of engine and inserts",
        "docs/engine.md      what the layouts are and what was tried",
        "docs/api.md         the API under load",
    )


def _machine() -> str:
    """The machine, without its name."""
    import platform

    return f"{os.cpu_count()} cores, {platform.system()}, {platform.machine()}, Python {platform.python_version()}"


def _run_report(document: dict[str, Any], folder: Path) -> Any:
    """The report is written by the benchmarks' own program, which is no part of the package."""
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".json") as handed:
        json.dump(document, handed)
        handed.flush()
        return _run("report.py", handed.name, str(folder))


def _run(program: str, *arguments: str) -> Any:
    from rowguard.errors import RowguardError
    from rowguard.settings import PROJECT_ROOT

    done = subprocess.run(
        [sys.executable, str(PROJECT_ROOT / "benchmarks" / program), *arguments],
        cwd=PROJECT_ROOT,
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
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
