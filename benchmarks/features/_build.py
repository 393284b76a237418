"""How long the training set takes: dbt's own times of its nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass

from benchmarks.features._stage import Stage
from rowguard.feature_build import NIGHTLY, PROJECT_DIR, profile_variables
from sql_scoring.totals import settle_totals


@dataclass(frozen=True)
class Built:
    """Seconds of each model's node; `tests` is the sum of all data and unit tests."""

    nodes: dict[str, float]
    tests: float
    elapsed: float

    @property
    def models(self) -> float:
        return sum(self.nodes.values())


def timed_build(stage: Stage) -> Built:
    """`dbt build` as `rowguard features` runs it, with the times that dbt writes down."""
    settle_totals(stage.url)
    target = stage.settings.state_dir / "dbt" / f"timed-{uuid.uuid4().hex[:8]}"
    target.mkdir(parents=True)
    subprocess.run(
        [
            os.path.join(os.path.dirname(sys.executable), "dbt"),
            "--no-version-check", "--log-path", str(target / "logs"), *NIGHTLY,
            "--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR), "--target-path", str(target),
        ],
        env={**os.environ, **profile_variables(stage.url)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )  # fmt: skip
    document = json.loads((target / "run_results.json").read_text())
    nodes: dict[str, float] = {}
    tests = 0.0
    for one in document["results"]:
        kind, _, name = one["unique_id"].split(".", 2)
        if kind in ("test", "unit_test"):
            tests += one["execution_time"]
        else:
            nodes[name] = one["execution_time"]
    return Built(nodes, tests, document["elapsed_time"])
