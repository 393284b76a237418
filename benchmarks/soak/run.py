"""Minutes of inserts at full speed into a table of millions, with two nights in between; and what an INSERT costs at
every size of the table. Curves and tables go to docs/benchmarks.

`python -m benchmarks.soak.run --folder DIR` keeps the server, so that a second run finds the rows.
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

from benchmarks.chaos.checks import unreplayable
from benchmarks.soak import report
from benchmarks.soak.growth import growth
from benchmarks.soak.load import Load, latencies, plans
from benchmarks.soak.sampling import SQL, Nights, contexts_mb, sample
from benchmarks.soak.world import World, build, users_of
from rowguard.sql_files import read_sql
from sql_scoring.features.totals import settle_totals
from tests.oracle.velocity_oracle import recompute
from trainer.retrain import verify

# A night begins when this much of the load is over.
NIGHTS = (0.15, 0.5)
CHECKED_ROWS = 3000


def main(
    rows: Annotated[int, typer.Option(help="Rows that are there before.", min=1000)] = 10_000_000,
    minutes: Annotated[float, typer.Option(help="Length of the load.", min=0.5)] = 12,
    clients: Annotated[int, typer.Option(help="Sessions, all kept open.", min=1)] = 4,
    every: Annotated[int, typer.Option(help="Seconds between samples.", min=1)] = 10,
    sizes: Annotated[str, typer.Option(help="Smaller tables that an INSERT is measured in.")] = (
        "10000,100000,1000000"
    ),
    calls: Annotated[int, typer.Option(help="Inserts a round, at each size.", min=10)] = 500,
    folder: Annotated[Path | None, typer.Option(help="Where the server lives, and stays.")] = None,
    only_build: Annotated[bool, typer.Option("--only-build", help="Fill the tables and stop.")] = False,
    to: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("docs/benchmarks"),
) -> None:
    """Run it on a durable server of its own, deleted afterwards unless --folder is given.

    Example: python -m benchmarks.soak.run --rows 1000000 --minutes 3 --sizes 10000 --to /tmp/longrun
    """
    with tempfile.TemporaryDirectory(prefix="rowguard-longrun-") as temporary:
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
    print(json.dumps(document, indent=1), flush=True)  # first: a page can be written again from it
    report.write(document, to)


def measure(
    world: World, sizes: list[int], rows: int, seconds: float, clients: int, every: int, calls: int
) -> dict[str, Any]:
    """The load, what it left, and last what an INSERT costs."""
    url = world.url(rows)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pgstattuple SCHEMA public")
        connection.execute("CHECKPOINT")
    full_before = _rows(url, "bloat")
    log = world.server.log_file
    log_start = log.stat().st_size
    load = Load(url, world.folder / "load", int(seconds), clients, users_of(rows))
    began = time.monotonic()
    nights = Nights(world, url, began)
    samples: list[dict[str, Any]] = []
    threads: list[threading.Thread] = []
    load.start()
    try:
        while load.runs():
            second = time.monotonic() - began
            is_due = len(threads) < len(NIGHTS) and second >= NIGHTS[len(threads)] * seconds
            if is_due and not any(thread.is_alive() for thread in threads):
                threads.append(threading.Thread(target=nights.run, args=(len(threads) + 1,)))
                threads[-1].start()
            samples.append(sample(url, second))
            _say(f"{second:.0f} s: {samples[-1]['private_mb'] or 0:.1f} MB a session")
            time.sleep(every)
        load.finish()
    finally:
        load.stop()
        for thread in threads:
            thread.join()
    if nights.failed:
        raise nights.failed[0]
    with log.open("rb") as file:
        file.seek(log_start)
        said = file.read().decode(errors="replace")
    _say("what is on the rows")
    return {
        "rows_before": rows,
        "users": users_of(rows),
        "clients": clients,
        "seconds": seconds,
        "samples": samples,
        "latency": latencies(load.folder, every),
        "failed": load.failed(),
        "nights": nights.steps,
        "contexts_mb": contexts_mb(said),
        "plans": plans(said),
        "full_before": full_before,
        "full_after": _rows(url, "bloat"),
        **after(world, url),
        "growth": _growth(world, sizes, calls),
    }


def _growth(world: World, sizes: list[int], calls: int) -> list[dict[str, Any]]:
    _say("an INSERT at every size")
    for size in sizes:
        settle_totals(world.url(size))
    return growth(world, sizes, calls)


def after(world: World, url: str) -> dict[str, Any]:
    """What stands on the rows: decisions, replay of all, velocity of many reckoned anew from raw rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        open_rows = _rows(url, "counts")[0]["without_totals"]
        differing = unreplayable(connection)
        found = recompute(connection, limit=CHECKED_ROWS)
    verified = verify(url, world.settings(url))
    return {
        **_rows(url, "counts")[0],
        "without_totals": open_rows,
        "unreplayable": differing,
        "velocity_rows": found.rows,
        "velocity_values": found.values,
        "velocity_wrong": found.wrong,
        "verify_is_ok": verified.is_ok,
    }


def _rows(url: str, name: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        return connection.execute(read_sql(SQL, name).encode()).fetchall()


def _say(step: str) -> None:
    typer.echo(f"  {step}", err=True)


if __name__ == "__main__":
    typer.run(main)
