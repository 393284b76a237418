"""How a call's cost grows with trees, leaves and features, and how well it is predicted.

One forest of each size, its ``bitmask`` function measured as in ``layouts``, with the prediction of the transpiler's
cost model and the line that fits the predictions to this machine.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, dataclass

import numpy as np
import psycopg
from sklearn.ensemble import RandomForestClassifier

from benchmarks.engine import layouts
from sql_scoring.engine import bitmask_cost, forest_shape, transpile

TREES = (5, 10, 25, 50, 100, 200)
LEAVES = (8, 16, 32, 64, 128, 256)
FEATURES = (2, 5, 10, 20, 40)
DEFAULT_SIZE = (50, 64, 10)
TRAINING_ROWS = 20_000


@dataclass(frozen=True)
class Point:
    """One forest with its predicted and measured cost."""

    varied: str
    trees: int
    leaves: int
    features: int
    nodes: int
    own_transaction_us: float
    predicted_us: float
    memory_mb: float
    predicted_mb: float
    first_call_ms: float


def grid(quick: bool) -> list[tuple[str, int, int, int]]:
    """The varied parameter, and trees, leaves, features."""
    step = 2 if quick else 1
    trees, leaves, features = DEFAULT_SIZE
    return (
        [("trees", count, leaves, features) for count in TREES[::step]]
        + [("leaves", trees, count, features) for count in LEAVES[::step]]
        + [("features", trees, leaves, count) for count in FEATURES[::step]]
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", default=os.environ.get("DATABASE_URL"))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    points = []
    prepared = 0
    for varied, trees, leaves, features in sorted(grid(options.quick), key=lambda size: size[3]):
        if features != prepared:
            with psycopg.connect(options.database_url, autocommit=True) as connection:
                layouts.prepare(connection, features)
            prepared = features
        rows, labels = layouts.payments(TRAINING_ROWS, 0, features)
        model = RandomForestClassifier(trees, max_leaf_nodes=leaves, random_state=0, n_jobs=2)
        model.fit(rows, labels)
        names = [f"f{number}" for number in range(features)]
        text = transpile(model, feature_names=names, function_name=f"{layouts.SCHEMA}.model")
        calls = 150 if options.quick else 400
        measured = layouts.measure(options.database_url, "", "bitmask", text, calls, features)
        cost = bitmask_cost(model)
        points.append(
            Point(
                varied,
                trees,
                leaves,
                features,
                forest_shape(model).nodes,
                measured.own_transaction_us,
                cost.microseconds,
                measured.memory_mb,
                cost.memory_bytes / 1e6,
                measured.first_call_ms,
            )
        )
    slope, intercept = np.polyfit(
        [point.predicted_us for point in points], [point.own_transaction_us for point in points], 1
    )
    memory = float(np.median([point.memory_mb / point.predicted_mb for point in points]))
    fitted = {"microseconds_slope": slope, "microseconds_intercept": intercept, "memory_factor": memory}
    print(json.dumps({"points": [asdict(point) for point in points], "fit": fitted}, indent=2))


if __name__ == "__main__":
    main()
