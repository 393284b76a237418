"""Soak test: minutes of INSERTs at full speed into a table of millions, with two maintenance runs.

Afterwards the cost of an INSERT at every size of the table. Curves and tables go to docs/notes/benchmarks.

`python -m benchmarks.soak.run --folder DIR` keeps the server, so that a second run reuses its rows.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from psycopg.rows import dict_row

from benchmarks.chaos.checks import count_not_reproducible
from benchmarks.soak import report
from benchmarks.soak.load import Load, latencies, plans
from benchmarks.soak.sampling import QUERIES, MaintenanceRuns, contexts_mb, sample
from benchmarks.soak.scaling import measure_scaling
from benchmarks.soak.world import World, build, users_of
from sql_scoring.features.totals import recompute_totals
from tests.oracle.velocity_oracle import recompute
from trainer.retrain import verify

# A maintenance run starts after this fraction of the load.
MAINTENANCE_AT = (0.15, 0.5)
CHECKED_ROWS = 3000


def main(
    rows: Annotated[int, typer.Option(help="Rows loaded before the test.", min=1000)] = 10_000_000,
    minutes: Annotated[float, typer.Option(help="Length of the load.", min=0.5)] = 12,
    clients: Annotated[int, typer.Option(help="Open sessions.", min=1)] = 4,
    every: Annotated[int, typer.Option(help="Seconds between samples.", min=1)] = 10,
    sizes: Annotated[
        str, typer.Option(help="Rows of the smaller tables to measure INSERTs in, separated by commas.")
    ] = ("10000,100000,1000000"),
    calls: Annotated[int, typer.Option(help="INSERTs per round and size.", min=10)] = 500,
    folder: Annotated[Path | None, typer.Option(help="Folder of a server to keep.")] = None,
    only_build: Annotated[bool, typer.Option("--only-build", help="Load the tables and stop.")] = False,
    to: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("docs/notes/benchmarks"),
) -> None:
    """Run the soak test on a separate durable server, deleted afterwards unless --folder is given.

    Example: python -m benchmarks.soak.run --rows 1000000 --minutes 3 --sizes 10000 --to /tmp/soak
    """
    with tempfile.TemporaryDirectory(prefix="rowguard-soak-") as temporary:
        world = World(folder or Path(temporary))
        every_size = sorted({int(size) for size in sizes.split(",") if size} | {rows})
        try:
            build(world, every_size, _say)
            if only_build:
                return
            document = measure(world, every_size, rows, minutes * 60, clients, every, calls)
        finally:
            if folder is None:
                world.server.destroy()
            else:
                world.server.stop()
    print(json.dumps(document, indent=1), flush=True)  # first: the page can be rendered again from it
    report.write(document, to)


def measure(
    world: World, sizes: list[int], rows: int, seconds: float, clients: int, every: int, calls: int
) -> dict[str, Any]:
    """Run the load and check its rows, then measure INSERTs at each size."""
    url = world.url(rows)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pgstattuple SCHEMA public")
        connection.execute("CHECKPOINT")
    full_before = _rows(url, "page_density")
    log = world.server.log_file
    log_start = log.stat().st_size
    load = Load(url, world.folder / "load", int(seconds), clients, users_of(rows))
    started = time.monotonic()
    maintenance = MaintenanceRuns(world, url, started)
    samples: list[dict[str, Any]] = []
    threads: list[threading.Thread] = []
    load.start()
    try:
        while load.runs():
            second = time.monotonic() - started
            is_due = len(threads) < len(MAINTENANCE_AT) and second >= MAINTENANCE_AT[len(threads)] * seconds
            if is_due and not any(thread.is_alive() for thread in threads):
                threads.append(threading.Thread(target=maintenance.run, args=(len(threads) + 1,)))
                threads[-1].start()
            samples.append(sample(url, second))
            _say(f"{second:.0f} s: {samples[-1]['private_mb'] or 0:.1f} MB per session")
            time.sleep(every)
        load.finish()
    finally:
        load.stop()
        for thread in threads:
            thread.join()
    if maintenance.failed:
        raise maintenance.failed[0]
    with log.open("rb") as file:
        file.seek(log_start)
        log_text = file.read().decode(errors="replace")
    _say("checks of the stored rows")
    return {
        "rows_before": rows,
        "users": users_of(rows),
        "clients": clients,
        "seconds": seconds,
        "samples": samples,
        "latency": latencies(load.folder, every),
        "failed": load.failed(),
        "maintenance": maintenance.steps,
        "contexts_mb": contexts_mb(log_text),
        "plans": plans(log_text),
        "full_before": full_before,
        "full_after": _rows(url, "page_density"),
        **check(world, url),
        "scaling": _scaling(world, sizes, calls),
    }


def _scaling(world: World, sizes: list[int], calls: int) -> list[dict[str, Any]]:
    _say("INSERTs at every size")
    for size in sizes:
        recompute_totals(world.url(size))
    return measure_scaling(world, sizes, calls)


def check(world: World, url: str) -> dict[str, Any]:
    """Count decisions, replay all of them, and recompute the velocity of many from the raw rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        rows = _rows(url, "count_rows")[0]
        not_reproducible = count_not_reproducible(connection)
        velocity = recompute(connection, limit=CHECKED_ROWS)
    verified = verify(url, world.settings(url))
    return {
        **rows,
        "not_reproducible": not_reproducible,
        "velocity_rows": velocity.rows,
        "velocity_values": velocity.values,
        "velocity_wrong": velocity.wrong,
        "verify_is_ok": verified.is_ok,
    }


def _rows(url: str, name: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        return connection.execute(QUERIES[name]).fetchall()


def _say(step: str) -> None:
    typer.echo(f"  {step}", err=True)


if __name__ == "__main__":
    typer.run(main)
