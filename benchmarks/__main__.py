"""`python -m benchmarks`: measure engine, INSERT and API in one run, and write the report.

`make bench` runs it. Servers are temporary; no configured database is used.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import report
from rowguard.local import temporary_server

REPORT = Path("docs/notes/benchmarks")
QUICK_REPORT = Path(".rowguard/bench/report")
PEER_ENVIRONMENTS = Path(".rowguard/bench/peers")


def main() -> None:
    """Measure, write the page and print the goals."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs; the ratios are rougher")
    parser.add_argument(
        "--part", choices=("engine", "inserts", "api"), nargs="+", default=["engine", "inserts", "api"]
    )
    parser.add_argument("--no-peers", action="store_true", help="do not install orbital and SKompiler")
    parser.add_argument(
        "--output", type=Path, help=f"folder of the report; {REPORT}, with --quick {QUICK_REPORT}"
    )
    parser.add_argument("--json", action="store_true", help="print the whole document")
    options = parser.parse_args()
    document = measure(set(options.part), is_quick=options.quick, has_peers=not options.no_peers)
    if "engine" in document:
        page = report.write(document, options.output or (QUICK_REPORT if options.quick else REPORT))
        _say(f"report: {page}")
    if options.json:
        print(json.dumps(document, indent=2))
    elif "engine" in document:
        for measure_name, goal, value, is_met in report.goals(document):
            print(f"{'ok  ' if is_met == 'yes' else 'MISS'} {measure_name}: {value} (goal: {goal})")
    else:
        print(json.dumps({name: document[name] for name in options.part if name in document}, indent=2))


def measure(parts: set[str], *, is_quick: bool, has_peers: bool) -> dict[str, Any]:
    """Run the programs of each part in turn.

    Args:
        parts: Of `engine`, `inserts` and `api`.
        is_quick: Fewer calls and rounds.
        has_peers: Install and measure orbital and SKompiler too.

    Returns:
        The JSON document of each program by its section of the report.
    """
    python = f"Python {platform.python_version()}"
    machine = f"{os.cpu_count()} cores, {platform.system()}, {platform.machine()}, {python}"
    document: dict[str, Any] = {"quick": is_quick, "machine": machine}
    calls = "200" if is_quick else "1000"
    if "engine" in parts:
        with temporary_server() as server:
            address = ("--database-url", server.url)
            peers = ("--environments", str(PEER_ENVIRONMENTS)) if has_peers else ()
            document["engine"] = _run("engine.layouts", *address, "--calls", calls, *peers)
            document["scaling"] = _run("engine.scaling", *address, *(("--quick",) if is_quick else ()))
    if "inserts" in parts:
        document["inserts"] = _run("inserts.run", *(("2", "2") if is_quick else ("8", "5")))
        document["profile"] = _run("inserts.sections", calls)
    if "api" in parts:
        seconds, rounds = ("2", "1") if is_quick else ("6", "3")
        document["api"] = _run("api.run", "--seconds", seconds, "--rounds", rounds)
    return document


def _run(module: str, *arguments: str) -> Any:
    _say(module)
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout)


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
