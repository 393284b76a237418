"""Cost of each layout: ``python -m benchmarks.engine.layouts --database-url …`` prints one JSON document.

Per forest and layout: length of the text, first call in a connection (time, memory of the backend), one call per
transaction, many rows in one statement; and scikit-learn's ``predict_proba`` (one row, and in bulk, ``n_jobs=1``).
Times are medians of one run: read ratios. A call per transaction is timed inside the server, without the client's
round trip.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from sklearn.ensemble import RandomForestClassifier

from benchmarks.engine.peers import M2CGEN_STYLES, PROGRAMS, m2cgen_style, print_statement
from benchmarks.report import DEFAULT_FOREST
from sql_scoring.engine import LAYOUTS, forest_shape, transpile, transpile_for_bulk
from trainer.forest import ForestParameters, fit_forest

Rows = npt.NDArray[np.float64]
FEATURES = 10
PROBES = 2000
ROUNDS = 5
SCHEMA = "rowguard_engine_bench"
NOOP = "one function that does nothing"


@dataclass(frozen=True)
class Measured:
    """Times in microseconds but for ``first_call_ms``; sizes in megabytes (10**6 bytes)."""

    forest: str
    layout: str
    text_mb: float
    first_call_ms: float
    memory_mb: float
    own_transaction_us: float
    own_transaction_spread_us: float
    bulk_us_per_row: float


def payments(count: int, seed: int, features: int = FEATURES) -> tuple[Rows, npt.NDArray[np.int64]]:
    """Amounts in cents, noise and a flag, with labels that depend on them."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, features))
    rows[:, 0] = np.round(rng.lognormal(4, 1, count), 2)
    rows[:, -1] = rng.integers(0, 2, count)
    signal = rows[:, 1] + np.log(rows[:, 0]) - 4 + (rows[:, min(2, features - 1)] > 0) * rows[:, -1]
    return rows, (signal + 0.7 * rng.normal(size=count) > 1.2).astype(np.int64)


def forests() -> dict[str, RandomForestClassifier]:
    """The forests of the goals, the trainer's default first, and the previous default."""
    rows, labels = payments(20_000, 0)
    fewer, fewer_labels = payments(8_000, 3)
    return {
        DEFAULT_FOREST: fit_forest(rows.astype(np.float32), labels == 1, ForestParameters()),
        "50 trees x 64 leaves": RandomForestClassifier(50, max_leaf_nodes=64, random_state=0).fit(
            rows, labels
        ),
        "100 trees x depth 8": RandomForestClassifier(
            100, max_depth=8, min_samples_leaf=8, random_state=0
        ).fit(fewer, fewer_labels),
        "25 trees x depth 10": RandomForestClassifier(
            25, max_depth=10, min_samples_leaf=8, random_state=0
        ).fit(fewer, fewer_labels),
    }


def prepare(connection: psycopg.Connection[Any], features: int = FEATURES, probes: int = PROBES) -> None:
    """Schema, probe rows and the procedure that scores one row per transaction."""
    connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE".encode())
    connection.execute(f"CREATE SCHEMA {SCHEMA}".encode())
    connection.execute(f"CREATE TABLE {SCHEMA}.probe (n integer PRIMARY KEY, v double precision[])".encode())
    rows, _ = payments(probes, 5, features)
    with connection.cursor().copy(f"COPY {SCHEMA}.probe FROM STDIN WITH (FORMAT BINARY)".encode()) as copy:
        copy.set_types(["int4", "float8[]"])
        for number, row in enumerate(rows.tolist()):
            copy.write_row((number, row))
    connection.execute(f"VACUUM ANALYZE {SCHEMA}.probe".encode())
    arguments = ", ".join(f"x[{number}]" for number in range(1, features + 1))
    connection.execute(
        f"""CREATE PROCEDURE {SCHEMA}.score_each(calls integer, INOUT micros float8[]) LANGUAGE plpgsql AS $$
            DECLARE x float8[]; started timestamptz; score float8;
            BEGIN
              FOR i IN 1..calls LOOP
                SELECT v INTO x FROM {SCHEMA}.probe WHERE n = (i * 7919) % {probes};
                started := clock_timestamp();
                score := {SCHEMA}.model({arguments});
                micros[i] := extract(epoch FROM clock_timestamp() - started) * 1e6;
                COMMIT;
              END LOOP;
            END $$""".encode()
    )


def measure(
    database_url: str, forest: str, layout: str, text: str, calls: int, features: int = FEATURES
) -> Measured:
    """Measure one function in a separate connection."""
    typed = ", ".join(["double precision"] * features)
    columns = ", ".join(f"v[{number}]" for number in range(1, features + 1))
    with psycopg.connect(database_url, autocommit=True) as setup:
        setup.execute(f"DROP FUNCTION IF EXISTS {SCHEMA}.model({typed})".encode())
        setup.execute(text.encode())
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:

        def memory() -> float:
            row = connection.execute("SELECT sum(total_bytes) FROM pg_backend_memory_contexts").fetchone()
            return float(row[0]) / 1e6 if row else 0.0

        before = memory()
        started = time.perf_counter()
        connection.execute(f"SELECT {SCHEMA}.model({', '.join(['0.5'] * features)})".encode())
        first = time.perf_counter() - started
        medians = []
        for _ in range(ROUNDS):
            row = connection.execute(f"CALL {SCHEMA}.score_each({calls}, '{{}}')".encode()).fetchone()
            medians.append(statistics.median(row[0] if row else []))
        # By now every branch has been reached, so expressions that are planned on first use are included.
        held = memory() - before
        bulk = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            connection.execute(f"SELECT sum({SCHEMA}.model({columns})) FROM {SCHEMA}.probe".encode())
            scored = time.perf_counter() - started
            started = time.perf_counter()
            connection.execute(f"SELECT sum({columns.replace(',', ' +')}) FROM {SCHEMA}.probe".encode())
            bulk.append((scored - (time.perf_counter() - started)) / PROBES * 1e6)
    return Measured(
        forest, layout, len(text) / 1e6, first * 1e3, held,
        statistics.median(medians), max(medians) - min(medians), statistics.median(bulk),
    )  # fmt: skip


@dataclass(frozen=True)
class Bulk:
    """Microseconds per row of one statement over a table, on one core, and scikit-learn's on the same rows."""

    forest: str
    rows: int
    inline_us: float
    scikit_learn_us: float
    ratio: float
    spread: float
    differing: int


def measure_bulk(database_url: str, forest: str, model: RandomForestClassifier, count: int) -> Bulk:
    """Measure the bulk form and `predict_proba` alternately, so that a slow moment affects both."""
    names = [f"f{number}" for number in range(FEATURES)]
    rows, _ = payments(count, 5)
    columns = ", ".join(f"v[{number + 1}] AS {name}" for number, name in enumerate(names))
    unpacked = f"(SELECT n, {columns} FROM {SCHEMA}.probe OFFSET 0) AS p"
    call = f"{SCHEMA}.bulk({', '.join(names)})"
    inline_us, scikit_learn_us, ratios = [], [], []
    with psycopg.connect(database_url, autocommit=True) as connection:
        prepare(connection, probes=count)
        text = transpile_for_bulk(
            model, feature_names=names, function_name=f"{SCHEMA}.bulk", expected_rows=count
        )
        connection.execute(text.encode())
        connection.execute("SET max_parallel_workers_per_gather = 0")
        connection.execute("SET jit = off")
        for _ in range(ROUNDS):
            started = time.perf_counter()
            connection.execute(f"SELECT sum({call}) FROM {unpacked}".encode())
            inline_us.append((time.perf_counter() - started) / count * 1e6)
            started = time.perf_counter()
            expected = model.predict_proba(rows)[:, 1]
            scikit_learn_us.append((time.perf_counter() - started) / count * 1e6)
            ratios.append(inline_us[-1] / scikit_learn_us[-1])
        query = f"SELECT {call} FROM {unpacked} ORDER BY n"
        scores = np.array([score for (score,) in connection.execute(query.encode())])
    return Bulk(
        forest, count, statistics.median(inline_us), statistics.median(scikit_learn_us), statistics.median(ratios),
        max(ratios) - min(ratios), int((scores.view(np.int64) != expected.view(np.int64)).sum()),
    )  # fmt: skip


@dataclass(frozen=True)
class Statement:
    """A peer that prints one statement: one row per transaction, and many rows. Or its problem."""

    peer: str
    forest: str
    one_row_us: float | None
    bulk_us_per_row: float | None
    differing_fraction: float | None
    problem: str | None


def measure_statement(database_url: str, peer: str, trees: int, folder: Path) -> Statement:
    """Measure orbital or SKompiler on a forest of `trees` trees."""
    rows, labels = payments(20_000, 0)
    model = RandomForestClassifier(trees, max_leaf_nodes=64, random_state=0).fit(rows, labels)
    forest = f"{trees} trees x 64 leaves"
    printed = print_statement(peer, model, folder)
    if printed.sql is None:
        return Statement(peer, forest, None, None, None, printed.problem)
    probes, _ = payments(PROBES, 5)
    columns = ", ".join(f"v[{number}] AS x{number}" for number in range(1, FEATURES + 1))
    single, bulk = [], []
    with psycopg.connect(database_url, autocommit=True) as connection:
        prepare(connection)
        source = f"SELECT n, {columns} FROM {SCHEMA}.probe"
        try:
            connection.execute(f"CREATE TEMP TABLE probe_columns AS {source} WHERE n = 1".encode())
            for _ in range(ROUNDS * 3):
                started = time.perf_counter()
                connection.execute(printed.sql.encode())
                single.append((time.perf_counter() - started) * 1e6)
            connection.execute("DROP TABLE probe_columns")
            connection.execute(f"CREATE TEMP TABLE probe_columns AS {source} ORDER BY n".encode())
            for _ in range(3):
                started = time.perf_counter()
                rows_scored = connection.execute(printed.sql.encode()).fetchall()
                bulk.append((time.perf_counter() - started) / PROBES * 1e6)
        except psycopg.Error as error:
            return Statement(peer, forest, None, None, None, str(error).strip().splitlines()[0])
    # orbital does not promise the order of rows, so the sorted scores are compared.
    expected = np.sort(model.predict_proba(probes)[:, 1])
    differing = float((np.sort(np.array([float(score) for (score,) in rows_scored])) != expected).mean())
    return Statement(peer, forest, statistics.median(single), statistics.median(bulk), differing, None)


def scikit_learn(model: RandomForestClassifier) -> tuple[float, float]:
    """Microseconds of ``predict_proba``: one row, and per row of a batch."""
    rows, _ = payments(20_000, 5)
    single, bulk = [], []
    for number in range(60):
        started = time.perf_counter()
        model.predict_proba(rows[number : number + 1])
        single.append(time.perf_counter() - started)
    for _ in range(ROUNDS):
        started = time.perf_counter()
        model.predict_proba(rows)
        bulk.append((time.perf_counter() - started) / len(rows))
    return statistics.median(single) * 1e6, statistics.median(bulk) * 1e6


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", default=os.environ.get("DATABASE_URL"))
    parser.add_argument(
        "--environments", type=Path, help="measure orbital and SKompiler too; their environments"
    )
    parser.add_argument("--bulk-rows", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--calls", type=int, default=1000, help="transactions per round")
    options = parser.parse_args()
    if not options.database_url:
        parser.error("--database-url or DATABASE_URL is needed")
    names = [f"f{number}" for number in range(FEATURES)]
    arguments = ", ".join(f"{name} double precision" for name in names)
    functions: list[Measured] = []
    peers: dict[str, tuple[float, float]] = {}
    with psycopg.connect(options.database_url, autocommit=True) as connection:
        prepare(connection)
    nothing = (
        f"CREATE FUNCTION {SCHEMA}.model({arguments}) RETURNS double precision "
        "LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END'"
    )
    functions.append(measure(options.database_url, NOOP, "", nothing, options.calls))
    fitted = forests()
    for title, model in fitted.items():
        shape = forest_shape(model)
        label = f"{title} ({shape.nodes} nodes)"
        peers[label] = scikit_learn(model)
        for layout in (*LAYOUTS, *M2CGEN_STYLES):
            if layout in M2CGEN_STYLES:
                text = m2cgen_style(layout, model, f"{SCHEMA}.model", arguments)
            else:
                known = next(name for name in LAYOUTS if name == layout)
                text = transpile(model, feature_names=names, function_name=f"{SCHEMA}.model", layout=known)
            calls = options.calls if layout == "bitmask" else max(100, options.calls // 5)
            functions.append(measure(options.database_url, label, layout, text, calls))
    bulk = [
        measure_bulk(options.database_url, title, model, count)
        for title, model in fitted.items()
        for count in options.bulk_rows
    ]
    statements = [
        measure_statement(options.database_url, peer, trees, options.environments)
        for peer in (PROGRAMS if options.environments else ())
        for trees in (20, 50)
    ]
    with psycopg.connect(options.database_url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE".encode())
    document = {
        "functions": [asdict(function) for function in functions],
        "scikit_learn": peers,
        "bulk": [asdict(result) for result in bulk],
        "statements": [asdict(statement) for statement in statements],
    }
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
