"""How long the training set takes: `rowguard features`, and in it dbt's own times of its nodes."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.features._stage import Stage
from sql_scoring.features.build import build_features


@dataclass(frozen=True)
class Built:
    """Seconds of each model's node; `tests` is the sum of all data tests, `elapsed` is dbt's own time without its
    start, `command` that of everything that `rowguard features` does."""

    nodes: dict[str, float]
    tests: float
    elapsed: float
    command: float


def timed_build(stage: Stage) -> Built:
    """Builds as `rowguard features` does."""
    started = time.monotonic()
    build = build_features(stage.url, stage.settings)
    command = time.monotonic() - started
    names = {unique_id: unique_id.split(".", 2) for unique_id in build.nodes}
    nodes = {names[node][2]: seconds for node, seconds in build.nodes.items() if names[node][0] != "test"}
    tests = sum(build.nodes.values()) - sum(nodes.values())
    return Built(nodes, tests, build.seconds, command)
