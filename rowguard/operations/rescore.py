"""Scores many stored rows in one statement: decisions made up for later, or a backfill into a table of its own.

The features are those as of each row's own time, which dbt renders (for live rows by arrival: what the trigger
would have seen). The champion's deployed function scores them; when there are many rows, its form for bulk does,
after it was compared with the deployed function on some of these very rows, to the last bit. PostgreSQL divides the
work among its parallel workers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from rowguard.database import connect
from rowguard.errors import (
    FeatureMismatchError,
    NoModelError,
    ParityError,
    RegistryError,
    RowguardError,
)
from rowguard.queries import load_queries
from rowguard.settings import Settings
from sql_scoring import registry
from sql_scoring.engine import UnsupportedModelError, transpile_for_bulk
from sql_scoring.features.build import build_features
from trainer.artifact import artifact_path, load_artifact
from trainer.dataset import read_feature_list

QUERIES = load_queries("rowguard.operations")
# Below this the deployed function is done before the bulk form is set up.
BULK_FROM_ROWS = 10_000
COMPARED_ROWS = 1_000
_BULK_NAME = "pg_temp.rowguard_bulk"
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Rescoring:
    """What was scored.

    Attributes:
        rows: rows that have a score now and had none (or all of the span, with `into`).
        flagged: those of them that the model calls fraud.
        waiting: rows of the span whose features are not built; they are left as they are.
        into: the table that was made, None when the rows themselves were decided.
        form: `deployed`, or `bulk` for the form of the same function for many rows.
        workers: parallel workers that the plan asks for.
    """

    model_version: str
    rows: int
    flagged: int
    waiting: int
    into: str | None
    form: str
    workers: int
    seconds: float


def rescore(
    url: str,
    settings: Settings,
    *,
    start: datetime | None = None,
    past: datetime | None = None,
    into: str | None = None,
    include_history: bool = False,
    build: bool = True,
    workers: int | None = None,
    bulk_from_rows: int = BULK_FROM_ROWS,
    progress: Callable[[str], None] = lambda step: None,
) -> Rescoring:
    """Decide the rows of [start, past) that have no decision; or score every row of it `into` a new table.

    What was decided is never changed. Loaded history is only decided with `include_history`. With `build` the
    features are built first, which takes up only what is new.

    Raises:
        NoModelError: no model is deployed.
        FeatureMismatchError: the champion was trained on another feature list than the one that is built.
        RegistryError: the table of `into` exists already.
        ParityError: the bulk form and the deployed function disagree; nothing was changed.
    """
    began = time.monotonic()
    if build:
        progress("building features")
        build_features(url, settings, progress=progress)
    span = {"start": start or _BEGINNING, "past": past or _END, "history": include_history}
    with connect(url) as connection:
        version = registry.champion_version(connection)
        if version is None:
            raise NoModelError
        record = registry.get_model(connection, version)
        built = read_feature_list(connection)
        if record.feature_hash != built.hash:
            raise FeatureMismatchError(
                f"{version} was trained on feature list {record.feature_hash[:8]}, but {built.hash[:8]} is "
                "built; run: rowguard retrain"
            )
        if into is not None and _one(connection, "table_exists", {"name": into})[0]:
            raise RegistryError(f"the table {into} exists already; name another or drop it")
        wanted, ready = _one(
            connection, "rescore_count_undecided" if into is None else "rescore_count_everything", span
        )
        _prepare(connection, workers)
        scores = None
        if ready >= bulk_from_rows:
            progress("preparing the bulk form")
            scores = _bulk_scores(connection, settings, record, built.names, span, into, ready)
        form = "bulk" if scores else "deployed"
        if scores is None:
            scores = _scores(record.function_name, None, span, into)
        planned = _planned_workers(connection, scores)
        progress(f"scoring {ready:,} rows with {version}, {planned} parallel workers planned")
        if into is None:
            connection.execute(_compose("rescore_stage", scores=scores))
            rows, flagged = _one(
                connection, "rescore_decide", {"threshold": record.threshold, "version": version}
            )
        else:
            table = sql.Identifier(*into.split("."))
            values = {"threshold": sql.Literal(record.threshold), "version": sql.Literal(version)}
            try:
                connection.execute(_compose("rescore_into", table=table, scores=scores, **values))
            except (psycopg.errors.InvalidSchemaName, psycopg.errors.DuplicateTable) as error:
                raise RegistryError(
                    f"the table {into} cannot be made: {error.diag.message_primary}"
                ) from None
            found = connection.execute(_compose("rescore_into_count", table=table)).fetchone()
            assert found is not None
            rows, flagged = found
    return Rescoring(
        version, rows, flagged, wanted - ready, into, form, planned, round(time.monotonic() - began, 3)
    )


def plan_of(connection: psycopg.Connection, scores: sql.Composable) -> dict[str, Any]:
    """The plan of a scoring query, as PostgreSQL's EXPLAIN tells it."""
    row = connection.execute(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(scores)).fetchone()
    assert row is not None
    document = json.loads(row[0]) if isinstance(row[0], str) else row[0]
    plan: dict[str, Any] = document[0]["Plan"]
    return plan


def _prepare(connection: psycopg.Connection, workers: int | None) -> None:
    """For this transaction: compiling a forest takes longer than running it, and the scan is worth workers long
    before its size alone would say so, or the planner's guess of a join over two columns, which is far too low."""
    settings = {"jit": "off", "min_parallel_table_scan_size": "256kB", "parallel_setup_cost": "0"}
    if workers is not None:
        settings["max_parallel_workers_per_gather"] = str(workers)
    for name, value in settings.items():
        connection.execute("SELECT set_config(%s, %s, true)", (name, value))


def _bulk_scores(
    connection: psycopg.Connection,
    settings: Settings,
    record: registry.ModelRecord,
    names: Sequence[str],
    span: dict[str, Any],
    into: str | None,
    rows: int,
) -> sql.Composable | None:
    """The query by the bulk form, or None when the artifact is not here or the forest has no such form."""
    try:
        forest = load_artifact(artifact_path(settings.state_dir, record.version), record.artifact_sha256)
        text = transpile_for_bulk(forest, feature_names=names, function_name=_BULK_NAME, expected_rows=rows)
    except (RegistryError, UnsupportedModelError):
        return None
    connection.execute(text.encode())
    scores = _scores(_BULK_NAME, len(names), span, into)
    check = _compose(
        "rescore_compare",
        bulk=scores,
        rows=sql.Literal(COMPARED_ROWS),
        function=sql.Identifier(*record.function_name.split(".")),
    )
    differing = connection.execute(check).fetchone()
    if differing and differing[0]:
        raise ParityError(
            f"the bulk form of {record.version} and the deployed function differ on {differing[0]} of "
            f"{COMPARED_ROWS} rows; nothing was scored"
        )
    return scores


def _scores(
    function_name: str, columns: int | None, span: dict[str, Any], into: str | None
) -> sql.Composable:
    """The query that scores; with `columns` the features are unpacked into that many columns."""
    function = sql.Identifier(*function_name.split("."))
    if columns is None:
        features: sql.Composable = sql.SQL("f.feature_values")
        score = sql.SQL("{}(r.feature_values)").format(function)
    else:
        names = [sql.Identifier(f"f{number}") for number in range(1, columns + 1)]
        features = sql.SQL(", ").join(
            sql.SQL("f.feature_values[{}]::double precision AS {}").format(sql.Literal(number), name)
            for number, name in enumerate(names, start=1)
        )
        score = sql.SQL("{}({})").format(
            function, sql.SQL(", ").join(sql.SQL("r.{}").format(name) for name in names)
        )
    return _compose(
        "rescore_undecided" if into is None else "rescore_everything",
        score=score,
        features=features,
        **{name: sql.Literal(value) for name, value in span.items()},
    )


def _planned_workers(connection: psycopg.Connection, scores: sql.Composable) -> int:
    """Workers that score: those below a Gather at the top. One further down would only fetch the rows."""
    return int(plan_of(connection, scores).get("Workers Planned", 0))


def _compose(name: str, **parts: sql.Composable) -> sql.Composed:
    return sql.SQL(QUERIES[name]).format(**parts)


def _one(connection: psycopg.Connection, name: str, values: dict[str, Any]) -> tuple[Any, ...]:
    row = connection.execute(QUERIES[name], values).fetchone()
    if row is None:
        raise RowguardError(f"{name} gave no row")
    return row
