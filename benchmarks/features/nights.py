"""Nightly runs on a big table: import of a day, features, archive. Prints seconds, a row per night.

Run it as `python -m benchmarks.features.nights --data FOLDER --copies 10 --nights 5`. Copies of the data have
their own users and merchants; dates are moved so that the last day is yesterday. The first night archives the oldest
fifth of the days, each further night one more day.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.features._build import timed_build
from benchmarks.features._stage import (
    FILE,
    VARIABLE,
    Stage,
    before,
    data_file,
    last_day,
    open_stage,
    read_days,
    since,
)
from rowguard.operations.archive import archive_transactions
from rowguard.operations.importer import load_history
from sql_scoring.deployment.migrate import migrate

LABEL_DELAY = timedelta(days=7)
OFFSET = 1_000_000  # between the ids of two copies
COLUMNS = (
    "night", "import", "features", "merchant_risk", "training_features", "tests", "rows", "training rows", "archive",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features.nights", description=__doc__)
    parser.add_argument("--data", type=Path, help=f"folder of {FILE} (or {VARIABLE})")
    parser.add_argument("--copies", type=int, default=10, help="copies of the 1.1 million rows")
    parser.add_argument("--nights", type=int, default=5)
    options = parser.parse_args()
    file = data_file(options.data)
    if file is None:
        print(f"{FILE} is absent: name its folder with --data or {VARIABLE}", file=sys.stderr)
        return 1
    rows = move_to_yesterday(read_days(file, None))
    with open_stage() as stage:
        run_nights(stage, rows, options.copies, options.nights)
    return 0


def run_nights(stage: Stage, rows: pa.Table, copies: int, nights: int) -> None:
    """Load all but the last days, build once, then run a night for each of them."""
    first_night = last_day(rows) - timedelta(days=nights - 1)
    first_day = pc.min(rows["occurred_at"]).as_py()
    migrate(stage.url, stage.settings)
    print("| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS), sep="\n", flush=True)
    print_row("first build", timed(partial(load, stage, before(rows, first_night), copies)), *build(stage))
    today = datetime.now(UTC)
    for number in range(nights):
        day = first_night + timedelta(days=number)
        kept_days = int((today - first_day).days * 0.8) - number
        imported = timed(partial(load, stage, before(since(rows, day), day + timedelta(days=1)), copies))
        built = build(stage)
        print_row(str(number + 1), imported, *built, timed(partial(archive, stage, kept_days)))


def build(stage: Stage) -> tuple[float | int, ...]:
    """Build the features; return seconds in total and of the slowest parts, then rows."""
    built = timed_build(stage)
    with stage.connect() as connection:
        counts = connection.execute(
            "SELECT (SELECT count(*) FROM transactions), (SELECT count(*) FROM features.training_set)"
        ).fetchone()
    assert counts is not None
    nodes = built.nodes
    return built.command, nodes["merchant_risk"], nodes["training_features"], built.tests, *counts


def archive(stage: Stage, keep_days: int) -> None:
    archive_transactions(
        stage.url, stage.settings.state_dir / "archive", keep_days=keep_days, label_delay_days=7
    )


def load(stage: Stage, rows: pa.Table, copies: int) -> None:
    load_history(stage.url, _copies(rows, copies), label_delay=LABEL_DELAY, source="benchmark")


def _copies(rows: pa.Table, copies: int) -> Iterator[pa.RecordBatch]:
    rows = rows.drop_columns(["transaction_id"])
    for number in range(copies):
        copy = rows
        for name in ("user_id", "merchant_id"):
            ids = pc.add(pc.cast(rows[name], pa.int64()), number * OFFSET)
            copy = copy.set_column(copy.schema.get_field_index(name), name, ids)
        yield from copy.to_batches(65_536)


def move_to_yesterday(rows: pa.Table) -> pa.Table:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    shift = pa.scalar(today - timedelta(days=1) - last_day(rows), pa.duration("us"))
    times = pc.cast(pc.add(rows["occurred_at"], shift), pa.timestamp("us", "UTC"))
    return rows.set_column(rows.schema.get_field_index("occurred_at"), "occurred_at", times)


def timed(action: Callable[[], object]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started


def print_row(*cells: str | float) -> None:
    print("| " + " | ".join(f"{c:.1f}" if isinstance(c, float) else f"{c}" for c in cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
