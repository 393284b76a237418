"""Are features the same everywhere, and what do they cost? Writes a page and a plot into docs/notes/benchmarks.

The data are the fraud-detection handbook's simulated transactions, which are not part of this project: a Parquet file
in the folder that --data or ROWGUARD_BENCHMARK_DATA names.
Example: python -m benchmarks.features.run --quick --data DIR
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.features import _build, _cost, _replay
from benchmarks.features._report import Findings, write_report
from benchmarks.features._stage import (
    FILE,
    VARIABLE,
    before,
    data_file,
    last_day,
    open_stage,
    read_days,
    since,
)
from rowguard.database import connect
from sql_scoring.deployment.migrate import migrate
from trainer.dataset import read_feature_list
from trainer.retrain import deploy
from trainer.training import train

DOCS = Path(__file__).resolve().parents[2] / "docs" / "notes" / "benchmarks"
SIZES = [100, 1_000, 10_000, 100_000]


def main() -> None:
    """Reads the options and runs everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features.run", description=__doc__)
    parser.add_argument("--data", type=Path, help=f"folder of {FILE} (or {VARIABLE})")
    parser.add_argument("--quick", action="store_true", help="the last 45 days of the data, and fewer calls")
    parser.add_argument("--output", type=Path, default=DOCS, help="folder of the report")
    options = parser.parse_args()
    file = data_file(options.data)
    if file is None:
        print(f"skipped: no {FILE}; name its folder with --data or {VARIABLE}")
        return
    write_report(measure(file, quick=options.quick), options.output)
    print(options.output / "features.md")


def measure(file: Path, *, quick: bool) -> Findings:
    """Everything on one server, in the order in which the data allow it."""
    rows = read_days(file, 45 if quick else None)
    replayed_day = last_day(rows)
    loaded_day = replayed_day - timedelta(days=1)
    calls = 250 if quick else 1_500
    with open_stage() as stage:
        say(f"loading {len(rows):,} transactions")
        migrate(stage.url, stage.settings)
        stage.load(before(rows, loaded_day))
        say("building the features from scratch")
        whole = _build.timed_build(stage)
        stage.load(since(before(rows, replayed_day), loaded_day))
        say("building them for one more day")
        one_day = _build.timed_build(stage)
        say("training and deploying")
        trained = train(
            stage.url, stage.settings, start=replayed_day - timedelta(days=21), cutoff=replayed_day
        )
        deploy(stage.url, stage.settings, trained.version)
        with connect(stage.url) as connection:
            hash8 = read_feature_list(connection).hash[:8]
        day = since(rows, replayed_day)
        say(f"replaying {len(day):,} transactions by INSERT")
        replayed = _replay.insert_day(stage, day, hash8)
        say("adding busy users and merchants, building again")
        _cost.add_busy_history(stage, SIZES)
        _build.timed_build(stage)
        _replay.compare_with_training(stage, replayed)
        say("timing inserts and reads inside the server")
        _cost.install(stage, hash8)
        end = replayed_day + timedelta(days=1)
        reads = _cost.time_reads(stage, end, calls)
        inserts = _cost.time_inserts(stage, SIZES, calls)
        return Findings(
            machine=f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[1]:.1f}",
            measured_at=datetime.now(UTC),
            is_quick=quick,
            history_rows=len(before(rows, loaded_day)),
            day_rows=len(since(before(rows, replayed_day), loaded_day)),
            whole=whole,
            one_day=one_day,
            replayed=replayed,
            sizes=SIZES,
            inserts=inserts,
            reads=reads,
        )


def say(step: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {step}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
