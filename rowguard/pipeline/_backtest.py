"""The backtest: every fold's forest is deployed into a scratch schema, and the SQL function scores its test days."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from rowguard.database import connect
from rowguard.errors import TrainingDataError
from rowguard.sql_files import read_sql
from sql_scoring.transpile import forest_shape, transpile
from trainer.backtest import BacktestPlan, BacktestResult, judge, rows_to_test
from trainer.dataset import read_dataset, read_feature_list, read_span
from trainer.forest import ForestParameters, fit_forest

SQL = Path(__file__).parent / "sql"
# Labels are history here: the protocol itself says what may be known when.
_EVERYTHING_KNOWN = timedelta(days=3650)


def backtest(
    url: str,
    plan: BacktestPlan,
    *,
    folds: int = 1,
    parameters: ForestParameters = ForestParameters(),
    progress: Callable[[str], None] = lambda step: None,
) -> list[BacktestResult]:
    """One result a fold, each a week later than the one before.

    The model of a fold is fitted on its training days with the labels that were known when its test days began.

    Raises:
        TrainingDataError: the features are not built, or the stored transactions do not cover the folds.
    """
    with connect(url) as connection:
        names = read_feature_list(connection).names
        first, last, _ = read_span(connection)
    end = plan.shifted(folds - 1).test_end
    if (
        plan.start < first.replace(hour=0, minute=0, second=0, microsecond=0)
        or end - timedelta(days=1) > last
    ):
        raise TrainingDataError(
            f"the folds run from {plan.start:%Y-%m-%d} to {end:%Y-%m-%d}, "
            f"the transactions from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
        )
    results = []
    for number in range(folds):
        fold = plan.shifted(number)
        progress(
            f"fold {number + 1} of {folds}: fitting on {fold.start:%Y-%m-%d} … {fold.train_end:%Y-%m-%d}"
        )
        train = read_dataset(url, fold.start, fold.train_end, fold.test_start)
        if not train.frauds:
            raise TrainingDataError(
                f"no frauds of {fold.start:%Y-%m-%d} to {fold.train_end:%Y-%m-%d} were known "
                f"by {fold.test_start:%Y-%m-%d}"
            )
        forest = fit_forest(train.features, train.is_fraud, parameters)
        progress(
            f"fold {number + 1} of {folds}: SQL scores {fold.test_start:%Y-%m-%d} … {fold.test_end:%Y-%m-%d}"
        )
        rows = read_dataset(url, fold.start, fold.test_end, fold.test_end + _EVERYTHING_KNOWN)
        tested = rows_to_test(fold, rows)
        with connect(url) as connection, _scratch_schema(connection) as schema:
            text = transpile(
                forest, feature_names=names, function_name=f"{schema}.model", arguments="real_array"
            )
            connection.execute(text.encode())
            scores = _score(connection, schema, fold.start, fold.test_end)
        results.append(judge(fold, scores[tested], rows, tested, forest_shape(forest).nodes))
    return results


@contextmanager
def _scratch_schema(connection: psycopg.Connection) -> Iterator[str]:
    """A schema of its own, never committed: nothing is left whatever happens."""
    name = f"backtest_{uuid.uuid4().hex[:8]}"
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        yield name


def _score(
    connection: psycopg.Connection, schema: str, start: datetime, end: datetime
) -> NDArray[np.float64]:
    """Scores of the window's rows in the order in which `read_dataset` gives them."""
    query = sql.SQL(read_sql(SQL, "backtest_scores")).format(function=sql.Identifier(schema, "model"))
    with connection.cursor(binary=True) as cursor:
        cursor.execute(query, {"start": start, "end": end})
        return np.fromiter((score for (score,) in cursor), np.float64, count=cursor.rowcount)
