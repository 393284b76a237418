"""The backtest: every fold's forest is deployed into a scratch schema, and the SQL function scores its test days."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from rowguard.database import connect
from rowguard.errors import SettingsError, TrainingDataError
from rowguard.queries import load_queries
from sql_scoring.engine import forest_shape, transpile
from trainer.backtest import BacktestPlan, BacktestResult, judge, rows_to_test
from trainer.baselines import BASELINES, HANDBOOK, judge_baseline
from trainer.dataset import Dataset, read_dataset, read_feature_groups, read_feature_list, read_span
from trainer.forest import ForestParameters, fit_forest
from trainer.handbook import read_handbook_features

QUERIES = load_queries("trainer")
# Labels are history here: the protocol itself says what may be known when.
_EVERYTHING_KNOWN = timedelta(days=3650)


@dataclass(frozen=True)
class Contender:
    """One line of the backtest's table: a model, and its result of each fold."""

    name: str
    results: list[BacktestResult]


def backtest(
    url: str,
    plan: BacktestPlan,
    *,
    folds: int = 1,
    parameters: ForestParameters = ForestParameters(),
    without: Sequence[str] = (),
    progress: Callable[[str], None] = lambda step: None,
) -> list[BacktestResult]:
    """One result a fold, each a week later than the one before.

    The model of a fold is fitted on its training days with the labels that were known when its test days began.

    Args:
        without: groups of features that the model does not get; see `feature_groups`.

    Raises:
        SettingsError: there is no such group.
        TrainingDataError: the features are not built, or the stored transactions do not cover the folds.
    """
    compared = compare(url, plan, folds=folds, parameters=parameters, without=without, progress=progress)
    return compared[0].results


def compare(
    url: str,
    plan: BacktestPlan,
    *,
    folds: int = 1,
    parameters: ForestParameters = ForestParameters(),
    without: Sequence[str] = (),
    baselines: bool = False,
    each_group: bool = False,
    progress: Callable[[str], None] = lambda step: None,
) -> list[Contender]:
    """The backtest of several models on the same rows; the forest on all features of the list, or on those that
    `without` leaves, comes first.

    Args:
        baselines: also trainer.baselines, each on the features that it asks for, scored by scikit-learn.
        each_group: also the forest without each group of features in turn, scored by its SQL function.

    Raises:
        SettingsError: there is no such group.
        TrainingDataError: the features are not built, or the stored transactions do not cover the folds.
    """
    groups = _groups(url)
    kept = _without(groups, without)
    lines = {_name(without): kept}
    if each_group:
        for group in feature_groups(groups):
            if group not in without:
                lines[_name([*without, group])] = _without(groups, [*without, group])
    found: dict[str, list[BacktestResult]] = {name: [] for name in lines}
    for number, fold in enumerate(_folds(url, plan, folds), start=1):
        for name, names in lines.items():
            told = _prefixed(progress, f"fold {number} of {folds}, {name}: ")
            found[name].append(_deployed_result(url, fold, names, parameters, told))
        for name in BASELINES if baselines else ():
            progress(f"fold {number} of {folds}: {name}")
            columns = None
            if name == HANDBOOK:
                columns = read_handbook_features(
                    url, fold.plan.start, fold.plan.test_end, delay_days=fold.plan.delay_days
                )
            result = judge_baseline(name, fold.plan, fold.train, fold.rows, columns)
            found.setdefault(name, []).append(result)
    return [Contender(name, results) for name, results in found.items()]


def feature_groups(groups: dict[str, str]) -> list[str]:
    """The groups that can be left out, in the order of the list."""
    return [group for group in dict.fromkeys(groups.values()) if group != "transaction"]


@dataclass(frozen=True)
class _Fold:
    """A plan and its rows: to train on with the labels of the time, and from its start to its end with all."""

    plan: BacktestPlan
    train: Dataset
    rows: Dataset


def _groups(url: str) -> dict[str, str]:
    with connect(url) as connection:
        read_feature_list(connection)
        return read_feature_groups(connection)


def _without(groups: dict[str, str], without: Sequence[str]) -> list[str]:
    known = feature_groups(groups)
    for group in without:
        if group not in known:
            raise SettingsError(f"there is no feature group {group!r}; there are: {', '.join(known)}")
    return [name for name, group in groups.items() if group not in without]


def _prefixed(progress: Callable[[str], None], prefix: str) -> Callable[[str], None]:
    return lambda step: progress(prefix + step)


def _name(without: Sequence[str]) -> str:
    return "rowguard" + (f" without {', '.join(without)}" if without else "")


def _folds(url: str, plan: BacktestPlan, folds: int) -> Iterator[_Fold]:
    with connect(url) as connection:
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
    for number in range(folds):
        fold = plan.shifted(number)
        train = read_dataset(url, fold.start, fold.train_end, fold.test_start)
        if not train.frauds:
            raise TrainingDataError(
                f"no frauds of {fold.start:%Y-%m-%d} to {fold.train_end:%Y-%m-%d} were known "
                f"by {fold.test_start:%Y-%m-%d}"
            )
        rows = read_dataset(url, fold.start, fold.test_end, fold.test_end + _EVERYTHING_KNOWN)
        yield _Fold(fold, train, rows)


def _deployed_result(
    url: str,
    fold: _Fold,
    names: Sequence[str],
    parameters: ForestParameters,
    progress: Callable[[str], None],
) -> BacktestResult:
    """Fit on the columns `names`, deploy, and judge the scores that SQL gives."""
    plan = fold.plan
    progress(f"fitting on {plan.start:%Y-%m-%d} … {plan.train_end:%Y-%m-%d}")
    with connect(url) as connection:
        built = read_feature_list(connection).names
    places = [built.index(name) for name in names]
    forest = fit_forest(fold.train.features[:, places], fold.train.is_fraud, parameters)
    progress(f"SQL scores {plan.test_start:%Y-%m-%d} … {plan.test_end:%Y-%m-%d}")
    with connect(url) as connection, _scratch_schema(connection) as schema:
        text = transpile(
            forest, feature_names=list(names), function_name=f"{schema}.model", arguments="real_array"
        )
        connection.execute(text.encode())
        scores = _score(connection, schema, places, plan.start, plan.test_end)
    tested = rows_to_test(plan, fold.rows)
    return judge(plan, scores[tested], fold.rows, tested, forest_shape(forest).nodes)


@contextmanager
def _scratch_schema(connection: psycopg.Connection) -> Iterator[str]:
    """A schema of its own, never committed: nothing is left whatever happens."""
    name = f"backtest_{uuid.uuid4().hex[:8]}"
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        yield name


def _score(
    connection: psycopg.Connection, schema: str, places: Sequence[int], start: datetime, end: datetime
) -> NDArray[np.float64]:
    """Scores of the window's rows in the order in which `read_dataset` gives them."""
    query = sql.SQL(QUERIES["backtest_scores"]).format(
        function=sql.Identifier(schema, "model"),
        values=sql.SQL(", ").join(sql.SQL("f.feature_values[{}]").format(place + 1) for place in places),
    )
    with connection.cursor(binary=True) as cursor:
        cursor.execute(query, {"start": start, "end": end})
        return np.fromiter((score for (score,) in cursor), np.float64, count=cursor.rowcount)
