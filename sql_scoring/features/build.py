"""Builds the features: running totals first, then dbt, one run at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import IsolationLevel, sql

from rowguard.database import connect
from rowguard.progress import Progress
from rowguard.queries import load_queries
from rowguard.settings import Settings
from sql_scoring.features.columns import apply_changes, find_changes
from sql_scoring.features.dbt import FeatureBuild, OnNode, run_dbt
from sql_scoring.features.listing import check_expressions
from sql_scoring.features.project import write_project
from sql_scoring.features.totals import recompute_totals
from sql_scoring.jobs import lock_job

__all__ = ["FeatureBuild", "build_features", "is_built"]

QUERIES = load_queries("sql_scoring")
# Unit tests bring their own rows: they belong to changes of the project.
_NIGHTLY = ("build", "--exclude-resource-type", "unit_test")

_log = logging.getLogger(__name__)


def build_features(
    url: str,
    settings: Settings,
    *,
    full_refresh: bool = False,
    drops_columns: bool = False,
    on_node: OnNode | None = None,
    progress: Progress = _log.warning,
) -> FeatureBuild:
    """Bring the columns to the declaration, recompute pending running totals, run `dbt build`.

    A second run waits for the first.

    Args:
        url: the database.
        settings: the feature list, the label delay, and where dbt keeps its state.
        full_refresh: build every table from scratch.
        drops_columns: drop columns that are declared no longer, with their data.
        on_node: called with `(name, status)` of each finished node.
        progress: called with a sentence when the run waits for another one.

    Returns:
        What the run did.

    Raises:
        FeatureBuildError: dbt rejected the feature list, or a model or a data test failed; names which.
    """
    arguments = [*_NIGHTLY, "--full-refresh"] if full_refresh else list(_NIGHTLY)
    project = write_project(settings)
    with _exclusive_run(url, progress):
        with connect(url) as connection:
            check_expressions(project.plan.declaration, project.file, connection)
            changes = find_changes(connection, project.plan, drops_columns=drops_columns)
        apply_changes(url, changes, progress=progress)
        recompute_totals(url)
        built = run_dbt(arguments, url, settings, on_node=on_node or _count_nodes(progress), project=project)
    with connect(url) as connection:
        connection.execute(
            sql.SQL(QUERIES["record_build"]).format(digest=sql.Literal(_build_mark(project.digest)))
        )
        names = empty_features(connection)
    warnings = tuple(f"feature `{name}` is missing in every row of the training set" for name in names)
    for warning in warnings:
        _log.warning(warning)
    return replace(built, warnings=warnings)


def is_built(url: str, settings: Settings) -> bool:
    """Return whether the last build was of this feature list and label delay; newer rows may lack features."""
    digest = write_project(settings).digest
    with connect(url) as connection:
        row = connection.execute(QUERIES["recorded_build"]).fetchone()
        if row is None or row[0] != _build_mark(digest):
            return False
        return connection.execute(QUERIES["has_features"]).fetchone() is not None


def empty_features(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the names of the features that are missing in every row of the training set, in the list's order."""
    return [name for (name,) in connection.execute(QUERIES["empty_features"])]


def _build_mark(digest: str) -> str:
    return f"build {digest}"


def _count_nodes(progress: Progress) -> OnNode:
    done: list[str] = []

    def on_node(name: str, status: str) -> None:
        done.append(name)
        progress(f"building features: {len(done)} dbt nodes, {name}")

    return on_node


@contextmanager
def _exclusive_run(url: str, progress: Progress) -> Iterator[None]:
    """Two at once would fail in the views and functions that dbt replaces (`tuple concurrently updated`)."""
    with connect(url) as connection:
        connection.isolation_level = IsolationLevel.READ_COMMITTED
        lock_job(connection, "features", progress=progress)
        # It idles while it holds the lock. SET takes no snapshot, and so releases that of the statement before, for
        # which creating an index would wait.
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        try:
            yield
        finally:
            # The build counts even when this connection was lost meanwhile.
            with suppress(psycopg.Error):
                connection.rollback()
            connection.close()
