"""Score many stored rows in one statement: backfilled decisions, or scores in a separate table.

Features are point-in-time correct, built by dbt. The champion's deployed function scores; for many rows its bulk form
does, after the two were compared bit for bit on some of these rows.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from rowguard.database import connect, fetch_one
from rowguard.errors import (
    FeatureMismatchError,
    NoModelError,
    ParityError,
    RegistryError,
)
from rowguard.progress import Progress, silent
from rowguard.queries import load_queries
from rowguard.settings import Settings
from sql_scoring import registry
from sql_scoring.engine import UnsupportedModelError, transpile_for_bulk
from sql_scoring.features.build import build_features
from sql_scoring.scores import compose_probability
from trainer.artifact import load_model
from trainer.dataset import read_feature_list

QUERIES = load_queries("rowguard.operations")
# Below this the deployed function is faster than preparing the bulk form.
BULK_FROM_ROWS = 10_000
COMPARED_ROWS = 1_000
_BULK_NAME = "pg_temp.rowguard_bulk"
_MIN_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_TIME = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class RescoreResult:
    """What was scored.

    Attributes:
        rows: Rows that got a decision, or all rows of the time range with `output_table`.
        flagged: Alerts among them.
        rows_without_features: Rows of the time range whose features are not built; they are unchanged.
        output_table: The new table, or None when the rows themselves got decisions.
        form: `deployed`, or `bulk` for the function's form for many rows.
        workers: Parallel workers that the plan asks for.
    """

    model_version: str
    rows: int
    flagged: int
    rows_without_features: int
    output_table: str | None
    form: str
    workers: int
    seconds: float


def rescore(
    url: str,
    settings: Settings,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    output_table: str | None = None,
    include_history: bool = False,
    build: bool = True,
    workers: int | None = None,
    bulk_from_rows: int = BULK_FROM_ROWS,
    progress: Progress = silent,
) -> RescoreResult:
    """Backfill decisions of [start, end), or score every row of it into a new table. No decision is ever changed.

    Args:
        url: Address of the database.
        settings: Folder of the artifacts.
        start: First event time.
        end: End of the event times, exclusive.
        output_table: A new table, such as `audit.backfill`.
        include_history: Decide loaded history too.
        build: Build the features of new rows first.
        workers: Most parallel workers; by default the server's setting.
        bulk_from_rows: From this number on the bulk form scores.
        progress: Called with each step.

    Returns:
        What was scored.

    Raises:
        NoModelError: No model is deployed.
        FeatureMismatchError: The champion's feature list is not the built one.
        RegistryError: The output table exists or cannot be created.
        ParityError: The bulk form and the deployed function differ; nothing was scored.
    """
    started = time.monotonic()
    if build:
        progress("building features")
        build_features(url, settings, progress=progress)
    with connect(url) as connection:
        version = registry.champion_version(connection)
        if version is None:
            raise NoModelError
        record = registry.get_model(connection, version)
        built_hash = read_feature_list(connection).hash
        if record.feature_hash != built_hash:
            raise FeatureMismatchError(
                f"{version} was trained on feature list {record.feature_hash[:8]}, but {built_hash[:8]} is "
                "built; run: rowguard retrain"
            )
        if output_table and fetch_one(connection, QUERIES["table_exists"], {"name": output_table})[0]:
            raise RegistryError(f"the table {output_table} exists; name another or drop it")
        selection = _Selection(
            start or _MIN_TIME, end or _MAX_TIME, output_table is not None, include_history
        )
        total, with_features = fetch_one(connection, selection.compose("rescore_count"))
        _set_planner(connection, workers)
        bulk = None
        if with_features >= bulk_from_rows:
            progress("preparing the bulk form")
            bulk = _bulk_scores(connection, settings, record, selection, with_features)
        scores = bulk or selection.scores(record, record.function_name)
        planned = _planned_workers(connection, scores)
        progress(f"scoring {with_features:,} rows with {version}, {planned} parallel workers planned")
        store = _insert_into_table if output_table else _store_decisions
        rows, flagged = store(connection, scores, record, output_table or "")
    return RescoreResult(
        model_version=version,
        rows=rows,
        flagged=flagged,
        rows_without_features=total - with_features,
        output_table=output_table,
        form="bulk" if bulk else "deployed",
        workers=planned,
        seconds=round(time.monotonic() - started, 3),
    )


@dataclass(frozen=True)
class _Selection:
    """The rows to score."""

    start: datetime
    end: datetime
    is_everything: bool
    include_history: bool

    def compose(self, query: str, **parts: sql.Composable) -> sql.Composed:
        """Return a named query restricted to these rows."""
        condition = sql.SQL("true")
        if not self.is_everything:
            condition = sql.SQL("t.model_version IS NULL")
            if not self.include_history:
                condition = sql.SQL("t.model_version IS NULL AND NOT t.is_history")
        return sql.SQL(QUERIES[query]).format(
            condition=condition, start=sql.Literal(self.start), end=sql.Literal(self.end), **parts
        )

    def scores(
        self, record: registry.ModelRecord, function_name: str, columns: int | None = None
    ) -> sql.Composed:
        """Return the scoring query; with `columns` the function takes that many arguments instead of an array."""
        function = sql.Identifier(*function_name.split("."))
        if columns is None:
            score = compose_probability(record, sql.SQL("{}(r.feature_values)").format(function))
            return self.compose("rescore_scores", score=score, features=sql.SQL("f.feature_values"))
        names = [sql.Identifier(f"f{number}") for number in range(1, columns + 1)]
        features = sql.SQL(", ").join(
            sql.SQL("f.feature_values[{}]::double precision AS {}").format(sql.Literal(number), name)
            for number, name in enumerate(names, start=1)
        )
        arguments = sql.SQL(", ").join(sql.SQL("r.{}").format(name) for name in names)
        score = compose_probability(record, sql.SQL("{}({})").format(function, arguments))
        return self.compose("rescore_scores", score=score, features=features)


def _set_planner(connection: psycopg.Connection, workers: int | None) -> None:
    """For this transaction: compiling a forest costs more than it saves, and the planner underestimates the join."""
    values = {"jit": "off", "min_parallel_table_scan_size": "256kB", "parallel_setup_cost": "0"}
    if workers is not None:
        values["max_parallel_workers_per_gather"] = str(workers)
    for name, value in values.items():
        connection.execute("SELECT set_config(%s, %s, true)", (name, value))


def _bulk_scores(
    connection: psycopg.Connection,
    settings: Settings,
    record: registry.ModelRecord,
    selection: _Selection,
    rows: int,
) -> sql.Composed | None:
    """Return the scoring query by the bulk form, or None without the artifact or such a form."""
    names = record.feature_names
    try:
        forest = load_model(settings.state_dir, record)
        text = transpile_for_bulk(forest, feature_names=names, function_name=_BULK_NAME, expected_rows=rows)
    except (RegistryError, UnsupportedModelError):
        return None
    connection.execute(text.encode())
    scores = selection.scores(record, _BULK_NAME, len(names))
    comparison = sql.SQL(QUERIES["rescore_compare"]).format(
        bulk=scores,
        rows=sql.Literal(COMPARED_ROWS),
        score=compose_probability(
            record, sql.SQL("{}(f.feature_values)").format(registry.qualified(record.function_name))
        ),
    )
    (differences,) = fetch_one(connection, comparison)
    if differences:
        raise ParityError(
            f"the bulk form of {record.version} and the deployed function differ on {differences} of "
            f"{COMPARED_ROWS} rows; nothing was scored"
        )
    return scores


def _planned_workers(connection: psycopg.Connection, scores: sql.Composable) -> int:
    """Return the workers that score: those of a Gather at the top. A lower one would only read rows."""
    (plans,) = fetch_one(connection, sql.SQL("EXPLAIN (FORMAT JSON) {}").format(scores))
    return int(plans[0]["Plan"].get("Workers Planned", 0))


def _store_decisions(
    connection: psycopg.Connection, scores: sql.Composed, record: registry.ModelRecord, table: str
) -> tuple[Any, ...]:
    connection.execute(sql.SQL(QUERIES["rescore_stage"]).format(scores=scores))
    values = {"threshold": record.threshold, "version": record.version}
    return fetch_one(connection, QUERIES["rescore_decide"], values)


def _insert_into_table(
    connection: psycopg.Connection, scores: sql.Composed, record: registry.ModelRecord, table: str
) -> tuple[Any, ...]:
    name = sql.Identifier(*table.split("."))
    query = sql.SQL(QUERIES["rescore_into"]).format(
        table=name,
        scores=scores,
        threshold=sql.Literal(record.threshold),
        version=sql.Literal(record.version),
    )
    try:
        connection.execute(query)
    except (psycopg.errors.InvalidSchemaName, psycopg.errors.DuplicateTable) as error:
        raise RegistryError(f"the table {table} cannot be created: {error.diag.message_primary}") from None
    return fetch_one(connection, sql.SQL(QUERIES["rescore_into_count"]).format(table=name))
