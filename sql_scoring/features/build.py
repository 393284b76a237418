"""Builds the features: running totals first, then dbt, one run at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import psycopg
from psycopg import IsolationLevel

from rowguard.database import connect
from rowguard.queries import load_queries
from rowguard.settings import Settings
from sql_scoring.features.dbt import FeatureBuild, OnNode, run_dbt
from sql_scoring.features.totals import recompute_totals
from sql_scoring.jobs import lock_job

__all__ = ["FeatureBuild", "build_features"]

QUERIES = load_queries("sql_scoring")
# Unit tests bring their own rows: they belong to changes of the project.
_NIGHTLY = ("build", "--exclude-resource-type", "unit_test")

_log = logging.getLogger(__name__)


def build_features(
    url: str,
    settings: Settings,
    *,
    full_refresh: bool = False,
    on_node: OnNode | None = None,
    progress: Callable[[str], None] = _log.warning,
) -> FeatureBuild:
    """Recompute pending running totals, then run `dbt build`. A second run waits for the first.

    Args:
        url: the database.
        settings: where dbt keeps its state, and the label delay.
        full_refresh: build every table from scratch.
        on_node: called with `(name, status)` of each finished node.
        progress: called with a sentence when the run waits for another one.

    Returns:
        What the run did.

    Raises:
        FeatureBuildError: dbt rejected the feature list, or a model or a data test failed; names which.
    """
    arguments = [*_NIGHTLY, "--full-refresh"] if full_refresh else list(_NIGHTLY)
    with _exclusive_run(url, progress):
        recompute_totals(url)
        built = run_dbt(arguments, url, settings, on_node=on_node)
    with connect(url) as connection:
        names = [name for (name,) in connection.execute(QUERIES["empty_features"])]
    warnings = tuple(f"feature `{name}` is missing in every row of the training set" for name in names)
    for warning in warnings:
        _log.warning(warning)
    return replace(built, warnings=warnings)


@contextmanager
def _exclusive_run(url: str, progress: Callable[[str], None]) -> Iterator[None]:
    """Two at once would fail in the views and functions that dbt replaces (`tuple concurrently updated`)."""
    with connect(url) as connection:
        connection.isolation_level = IsolationLevel.READ_COMMITTED  # holds no snapshot between statements
        lock_job(connection, "features", progress=progress)
        try:
            yield
        finally:
            # The build counts even when this connection was lost meanwhile.
            with suppress(psycopg.Error):
                connection.rollback()
            connection.close()
