"""Many random forests, many rows, every bit: ``python benchmarks/engine/parity_run.py --database-url …``.

Fits forests of random shape (trees, depth, leaves, features, missing values, weights, class names), writes
each as SQL and compares its scores with scikit-learn's on random and on boundary rows. Prints the counts;
exits with 1 if a single bit differs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from sql_scoring.engine import (
    LAYOUTS,
    boundary_rows,
    reference_scores,
    transpile,
    transpile_for_bulk,
)

Rows = npt.NDArray[np.float64]
BATCH_ROWS = 20_000
# The slow layouts see fewer rows: they exist to be compared with.
BULK = "inline (bulk)"
FRACTION_OF_ROWS = {"bitmask": 1.0, BULK: 0.2, "case": 0.05, "nested_if": 0.01}
FORMS = (*LAYOUTS, BULK)


def random_rows(rng: np.random.Generator, count: int, features: int, missing: float) -> Rows:
    """Money, counts, flags and plain noise, with gaps."""
    rows = rng.normal(size=(count, features))
    for feature in range(features):
        kind = rng.integers(4)
        if kind == 0:
            rows[:, feature] = np.round(rng.lognormal(4, 1.2, count), 2)
        elif kind == 1:
            rows[:, feature] = rng.poisson(3, count)
        elif kind == 2:
            rows[:, feature] = rng.integers(0, 2, count)
    rows[rng.random(rows.shape) < missing] = np.nan
    return rows


def random_model(seed: int) -> tuple[Any, float]:
    """A fitted forest of random shape, and the fraction of missing values in its training rows."""
    rng = np.random.default_rng(seed)
    features, count = int(rng.integers(1, 21)), int(rng.integers(300, 4000))
    missing = float(rng.choice([0.0, 0.0, 0.05, 0.3]))
    rows = random_rows(rng, count, features, missing)
    signal = np.nan_to_num(rows) @ rng.normal(size=features)
    noisy = signal + signal.std() * rng.normal(size=count)
    labels: npt.NDArray[Any] = (noisy > np.quantile(signal, 0.7)).astype(int)
    if rng.random() < 0.2:
        labels = np.where(labels == 1, "a", "b")
    kind = RandomForestClassifier if rng.random() < 0.8 else ExtraTreesClassifier
    model = kind(
        int(rng.integers(1, 60)),
        max_depth=[None, 1, 4, 8, 12][rng.integers(5)],
        max_leaf_nodes=[None, 8, 64, 65, 200][rng.integers(5)],
        min_samples_leaf=int(rng.choice([1, 1, 5, 20])),
        class_weight=[None, "balanced", "balanced_subsample"][rng.integers(3)],
        random_state=seed,
    ).fit(rows, labels)
    return model, missing


def differing(connection: psycopg.Connection[Any], rows: Rows, expected: Rows, *, array: bool) -> int:
    """Rows whose score by ``pg_temp.model`` differs in any bit; it takes an array, or one argument per feature."""
    connection.execute("TRUNCATE probe")
    with connection.cursor().copy("COPY probe FROM STDIN WITH (FORMAT BINARY)") as copy:
        copy.set_types(["int4", "float8[]"])
        # Of values that real cannot hold PostgreSQL's own cast raises an error.
        sent = rows.astype(np.float32) if array else rows
        for number, row in enumerate(sent.tolist()):
            copy.write_row((number, [None if value != value and number % 2 else value for value in row]))
    # Unpacked into columns, so that the bulk form is inlined and the others are called.
    columns = ", ".join(f"v[{number}] AS f{number}" for number in range(1, rows.shape[1] + 1))
    arguments = "v::real[]" if array else ", ".join(f"f{number}" for number in range(1, rows.shape[1] + 1))
    query = (
        f"SELECT pg_temp.model({arguments}) FROM (SELECT n, v, {columns} FROM probe OFFSET 0) AS p ORDER BY n"
    )
    scores = np.array([score for (score,) in connection.execute(query.encode())])
    return int((scores.view(np.int64) != expected.view(np.int64)).sum())


def _text(model: Any, names: list[str], form: str, rng: np.random.Generator, *, array: bool) -> str:
    if form == BULK:
        rows = int(rng.choice([1, 10_000_000]))
        return transpile_for_bulk(
            model, feature_names=names, function_name="pg_temp.model", expected_rows=rows
        )
    return transpile(
        model,
        feature_names=names,
        function_name="pg_temp.model",
        layout=next(layout for layout in LAYOUTS if layout == form),
        memory_weight=float(rng.choice([0.0, 0.02, 3.0, 100.0])),
        arguments="array" if array else "columns",
    )


def run(connection: psycopg.Connection[Any], forests: int, total_rows: int, first_seed: int) -> int:
    """Compare and print; returns the number of differing scores."""
    connection.execute("SET jit = off")
    connection.execute("CREATE TEMP TABLE probe (n integer, v double precision[])")
    compared = dict.fromkeys(FORMS, 0)
    wrong = dict.fromkeys(FORMS, 0)
    trees = leaves = 0
    started = time.monotonic()
    for seed in range(first_seed, first_seed + forests):
        model, missing = random_model(seed)
        trees += len(model.estimators_)
        leaves += sum(tree.tree_.n_leaves for tree in model.estimators_)
        features = int(model.n_features_in_)
        rng = np.random.default_rng(seed)
        for form in FORMS:
            names = [f"f{number}" for number in range(features)]
            # Deployed models take an array.
            array = form == "bitmask" and seed % 2 == 1
            connection.execute(_text(model, names, form, rng, array=array).encode())
            left = int(total_rows / forests * FRACTION_OF_ROWS[form])
            while left > 0:
                count = min(left, BATCH_ROWS)
                plain = random_rows(rng, count - count // 2, features, missing)
                near = boundary_rows(model, count // 2, seed=int(rng.integers(2**31)))
                rows = np.concatenate([plain, near])
                wrong[form] += differing(connection, rows, reference_scores(model, rows), array=array)
                compared[form] += count
                left -= count
            types = "real[]" if array else ", ".join(["double precision"] * features)
            connection.execute(f"DROP FUNCTION pg_temp.model({types})".encode())
        if (seed - first_seed + 1) % 10 == 0:
            done = seed - first_seed + 1
            seconds = time.monotonic() - started
            print(f"{done}/{forests} forests, {seconds:.0f} s, {sum(wrong.values())} rows differ", flush=True)
    print(f"forests: {forests}, trees: {trees}, leaves: {leaves}")
    for form in FORMS:
        print(f"{form}: {compared[form]} rows compared, {wrong[form]} differ")
    return sum(wrong.values())


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", default=os.environ.get("DATABASE_URL"))
    parser.add_argument("--rows", type=int, default=10_000_000, help="total rows for the bitmask layout")
    parser.add_argument("--forests", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not options.database_url:
        parser.error("--database-url or DATABASE_URL is needed")
    with psycopg.connect(options.database_url, autocommit=True) as connection:
        return 1 if run(connection, options.forests, options.rows, options.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
