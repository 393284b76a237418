"""Explanations in the database against `shap`: differences, processor time, storage, build time.

`SHAP_PYTHON` names a Python with `shap` and this project's scikit-learn; it is no dependency of the project.
`SHAP_PYTHON=… python -m benchmarks.explain.run --forests 100` prints a table in Markdown. Times are processor time of
the backend and of the peer's process, in turn, the least of several rounds: the machine may be busy.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import psycopg
from sklearn.ensemble import RandomForestClassifier

from benchmarks.inserts.run import prepare
from rowguard.database import fetch_one
from rowguard.local import temporary_server
from sql_scoring import registry
from sql_scoring.engine import as_form, boundary_rows
from sql_scoring.explain._document import TRAINING, build_document
from sql_scoring.explain._leaves import read_leaves
from trainer.artifact import artifact_path

ROUNDS, TIMED_ROWS, ROWS_PER_FOREST = 5, 300, 100
TABLES = ("features", "masks", "states")


class Peer:
    """The process that runs `shap`."""

    def __init__(self, folder: Path) -> None:
        python = os.environ.get("SHAP_PYTHON")
        if python is None:
            raise SystemExit("SHAP_PYTHON is not set: name a Python that has shap and scikit-learn")
        command = [python, str(Path(__file__).with_name("peer.py"))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._file = str(folder / "model.joblib")

    def values(self, model: Any, rows: Any) -> Any:
        """Return shap's values of the second class."""
        joblib.dump((model, rows), self._file)
        return np.load(self._ask(f"values {self._file}"))

    def microseconds(self, kind: str) -> float:
        """Return the time per row of the last rows, `single` or `bulk`."""
        return float(self._ask(kind))

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forests", type=int, default=100)
    count = parser.parse_args().forests
    with temporary_server() as server, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        prepare(server.url, folder)
        peer = Peer(folder)
        with psycopg.connect(server.url, autocommit=True, prepare_threshold=0) as connection:
            for line in (
                *_default_forest(connection, peer, folder),
                *_random_forests(connection, peer, count),
            ):
                print(line, flush=True)


def _default_forest(connection: psycopg.Connection, peer: Peer, folder: Path) -> Iterator[str]:
    version = registry.champion_version(connection)
    assert version is not None
    record = registry.get_model(connection, version)
    forest = joblib.load(artifact_path(folder / "state", version))
    stored = connection.execute(
        "SELECT feature_values FROM features.training_set ORDER BY hashint8(transaction_id) LIMIT 1000"
    ).fetchall()
    rows = np.array([[np.nan if v is None else v for v in values] for (values,) in stored], np.float32)
    theirs = peer.values(forest, rows.astype(np.float64))
    ours = _bulk(connection, version, rows)
    yield f"| default forest, {forest.n_estimators} trees, {record.node_count} nodes | |"
    yield f"| largest difference from shap, 1,000 training rows | {np.abs(ours - theirs).max():.2g} |"
    started = time.monotonic()
    connection.execute("SELECT scoring.build_explanation(%s)", [version])
    yield f"| build in the database | {time.monotonic() - started:.1f} s |"
    connection.execute("VACUUM FULL scoring.explanation_states")
    connection.execute("VACUUM ANALYZE")
    size = sum(
        fetch_one(
            connection, "SELECT pg_total_relation_size(%(t)s::regclass)", {"t": f"scoring.explanation_{t}"}
        )[0]
        for t in TABLES
    )
    groups, states = fetch_one(
        connection,
        "SELECT max(group_count), (SELECT count(p) FROM scoring.explanation_states, unnest(packed) AS p)"
        " FROM scoring.explanations",
    )
    yield f"| storage, {states:,} states of {groups} groups | {size / 1e6:.1f} MB |"
    timed = rows[:TIMED_ROWS]
    peer.values(forest, timed.astype(np.float64))
    times: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        times.setdefault("one row, shap", []).append(peer.microseconds("single"))
        with _processor_time(connection, times.setdefault("one row, own transaction", []), len(timed)):
            _single(connection, version, timed)
        with _processor_time(connection, times.setdefault("one row, empty function", []), len(timed)):
            for row in _lists(timed):
                connection.execute("SELECT cardinality(%s::real[])", [row]).fetchone()
        times.setdefault("many rows, shap", []).append(peer.microseconds("bulk"))
        with _processor_time(connection, times.setdefault("many rows, one statement", []), len(rows)):
            _bulk(connection, version, rows)
    for name, values in times.items():
        yield f"| {name} | {min(values):.0f} µs |"


def _random_forests(connection: psycopg.Connection, peer: Peer, count: int) -> Iterator[str]:
    largest = additive = 0.0
    rows_compared = 0
    for seed in range(count):
        random = np.random.default_rng(seed)
        width = int(random.integers(2, 20))
        features = random.lognormal(size=(600, width)).round(2).astype(np.float32)
        risk = features @ random.normal(size=width)
        is_fraud = risk + random.normal(size=600) > np.quantile(risk, 0.8)
        features[random.random(features.shape) < random.choice([0.0, 0.1, 0.3])] = np.nan
        forest = RandomForestClassifier(
            n_estimators=int(random.integers(1, 12)),
            max_leaf_nodes=int(random.integers(2, 48)),
            class_weight={0: 1.0, 1: float(random.integers(1, 8))},
            random_state=seed,
            n_jobs=1,
        ).fit(features, is_fraud)
        names = [f"f{number}" for number in range(width)]
        words = {"theme": "x", "label": "x", "unit": "", "high": "x", "low": "x", "missing": "x"}
        catalogs = {
            "en": {"version": "x", "texts": {}, "themes": {}, "features": dict.fromkeys(names, words)}
        }
        document = build_document(read_leaves(as_form(forest)), names, features, catalogs, TRAINING)
        connection.execute("UPDATE scoring.models SET explanation = %s", [document])
        version = fetch_one(connection, "SELECT version FROM scoring.models LIMIT 1")[0]
        connection.execute("SELECT scoring.build_explanation(%s)", [version])
        rows = boundary_rows(forest, ROWS_PER_FOREST, seed=seed).astype(np.float32)
        with np.errstate(over="ignore"):
            ours = _bulk(connection, version, rows)
        theirs = peer.values(forest, rows.astype(np.float64))
        base = fetch_one(connection, "SELECT base_value(%(version)s)", {"version": version})[0]
        largest = max(largest, float(np.abs(ours - theirs).max()))
        additive = max(additive, float(np.abs(base + ours.sum(1) - forest.predict_proba(rows)[:, 1]).max()))
        rows_compared += len(rows)
    yield f"| {count} random forests, {rows_compared:,} boundary rows: largest difference from shap | {largest:.2g} |"
    yield f"| the same: base plus sum against the probability | {additive:.2g} |"


def _lists(rows: Any) -> list[list[float | None]]:
    return [[None if value != value else value for value in row] for row in rows.tolist()]


def _single(connection: psycopg.Connection, version: str, rows: Any) -> None:
    query = "SELECT scoring.compute_contributions(e, %s::real[]) FROM scoring.explanations AS e WHERE version = %s"
    for row in _lists(rows):
        connection.execute(query, [row, version]).fetchone()


def _bulk(connection: psycopg.Connection, version: str, rows: Any) -> Any:
    values = [value for row in _lists(rows) for value in row]
    found = connection.execute(
        "SELECT c.contributions FROM scoring.explanations AS e,"
        " LATERAL scoring.compute_contributions_of_rows(e, %s::real[]) AS c WHERE e.version = %s"
        " ORDER BY c.row_number",
        [values, version],
    ).fetchall()
    return np.array([row for (row,) in found])


@contextmanager
def _processor_time(connection: psycopg.Connection, times: list[float], rows: int) -> Iterator[None]:
    """Add the microseconds of the backend's processor time per row."""
    path = Path(f"/proc/{connection.info.backend_pid}/schedstat")
    before = int(path.read_text().split()[0])
    yield
    times.append((int(path.read_text().split()[0]) - before) / 1e3 / rows)


if __name__ == "__main__":
    main()
