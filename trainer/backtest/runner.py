"""The backtest: each fold's forest is deployed into a scratch schema, and its SQL function scores the test days."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from rowguard.database import connect, fetch_one
from rowguard.errors import SettingsError, TrainingDataError
from rowguard.progress import Progress, silent
from rowguard.settings import Settings
from sql_scoring.engine import forest_shape, transpile
from sql_scoring.features.build import build_features
from trainer.backtest.baselines import BASELINES, score_baseline
from trainer.backtest.protocol import BacktestPlan, BacktestResult, Fold, Scorer, evaluate_models
from trainer.dataset import QUERIES, has_transactions, read_feature_groups, read_time_range
from trainer.families import ModelParameters, fit_model
from trainer.forest import ForestParameters


def compare_models(
    url: str,
    plan: BacktestPlan,
    *,
    folds: int = 1,
    parameters: ModelParameters = ForestParameters(),
    without: Sequence[str] = (),
    baselines: bool = False,
    ablation: bool = False,
    progress: Progress = silent,
) -> dict[str, list[BacktestResult]]:
    """Backtest one or several models on the same rows.

    Args:
        url: Address of the database.
        plan: The first fold; the others start a week later each.
        folds: Number of folds.
        parameters: Size and randomness of the forest.
        without: Feature groups that the first forest does not get; see `feature_groups`.
        baselines: Also evaluate BASELINES, scored by scikit-learn.
        ablation: Also evaluate the forest without each group in turn.
        progress: Called with each step.

    Returns:
        The result of each fold by model: the forest first, then the ablations, then the baselines.

    Raises:
        SettingsError: There is no such feature group.
        TrainingDataError: The features are not built, or the stored transactions do not cover the folds.
    """
    models = select_models(
        url, parameters=parameters, without=without, baselines=baselines, ablation=ablation
    )
    plans = [plan.shifted(week) for week in range(folds)]
    _require_covered(url, plans)
    return evaluate_models(url, plans, models, progress)


def select_models(
    url: str,
    *,
    parameters: ModelParameters = ForestParameters(),
    without: Sequence[str] = (),
    baselines: bool = False,
    ablation: bool = False,
) -> dict[str, Scorer]:
    """Return the models of a backtest by name; arguments and errors as of `compare_models`."""
    with connect(url) as connection:
        groups = read_feature_groups(connection)
    left_out = [tuple(without)]
    if ablation:
        left_out += [(*without, group) for group in feature_groups(groups) if group not in without]
    models: dict[str, Scorer] = {
        _name(names): partial(score_by_sql, url, _columns(groups, names), parameters) for names in left_out
    }
    if baselines:
        models |= {name: partial(score_baseline, name) for name in BASELINES}
    return models


def build_missing_features(
    url: str, settings: Settings, end: datetime, *, progress: Progress = silent
) -> bool:
    """Build the features if a transaction before `end` has none, as after an import.

    Args:
        url: Address of the database.
        settings: Passed to dbt.
        end: Later transactions do not matter.
        progress: Called with each step.

    Returns:
        Whether they were built.

    Raises:
        TrainingDataError: There are no transactions; names the next command.
        FeatureBuildError: dbt failed.
    """
    with connect(url) as connection:
        if not has_transactions(connection):
            raise TrainingDataError("there are no transactions; run: rowguard import FILE")
        try:
            (lacks_features,) = fetch_one(connection, QUERIES["lacks_features"], {"end": end})
        except psycopg.errors.UndefinedTable:
            lacks_features = True
    if not lacks_features:
        return False
    progress("building the features of new transactions")
    build_features(url, settings, progress=progress)
    return True


def feature_groups(groups: dict[str, str]) -> list[str]:
    """Return the groups that can be left out, in the order of the list."""
    return [group for group in dict.fromkeys(groups.values()) if group != "transaction"]


def _columns(groups: dict[str, str], without: Sequence[str]) -> list[int]:
    known = feature_groups(groups)
    for group in without:
        if group not in known:
            raise SettingsError(f"there is no feature group {group!r}; there are: {', '.join(known)}")
    return [position for position, group in enumerate(groups.values()) if group not in without]


def _name(without: Sequence[str]) -> str:
    return "rowguard" + (f" without {', '.join(without)}" if without else "")


def _require_covered(url: str, plans: Sequence[BacktestPlan]) -> None:
    with connect(url) as connection:
        first, last, _ = read_time_range(connection)
    start, end = plans[0].start, plans[-1].test_end
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    if start < midnight or end - timedelta(days=1) > last:
        raise TrainingDataError(
            f"the folds run from {start:%Y-%m-%d} to {end:%Y-%m-%d}, "
            f"the transactions from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
        )


def score_by_sql(
    url: str, columns: Sequence[int], parameters: ModelParameters, fold: Fold
) -> tuple[NDArray[np.float64], int]:
    """Fit a model on some columns, deploy it into a scratch schema, and score by its SQL function.

    Args:
        url: Address of the database.
        columns: Positions of the features that the forest gets.
        parameters: Size and randomness of the model.
        fold: The fold.

    Returns:
        Scores of the tested rows (margins of a boosted model), and the nodes.
    """
    model = fit_model(fold.train.features[:, columns], fold.train.is_fraud, parameters)
    with connect(url) as connection, _scratch_schema(connection) as schema:
        text = transpile(
            model,
            feature_names=[f"f{column}" for column in columns],
            function_name=f"{schema}.model",
            arguments="array",
        )
        connection.execute(text.encode())
        scores = _score(connection, schema, columns, fold.plan)
    return scores[fold.is_tested], forest_shape(model).nodes


@contextmanager
def _scratch_schema(connection: psycopg.Connection) -> Iterator[str]:
    """Create a schema that is never committed."""
    name = f"backtest_{uuid.uuid4().hex[:8]}"
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        yield name


def _score(
    connection: psycopg.Connection, schema: str, columns: Sequence[int], plan: BacktestPlan
) -> NDArray[np.float64]:
    """Return the scores of the fold's rows in the order of `read_dataset`."""
    query = sql.SQL(QUERIES["backtest_scores"]).format(
        function=sql.Identifier(schema, "model"),
        values=sql.SQL(", ").join(sql.SQL("f.feature_values[{}]").format(column + 1) for column in columns),
    )
    with connection.cursor(binary=True) as cursor:
        cursor.execute(query, {"start": plan.start, "end": plan.test_end})
        return np.fromiter((score for (score,) in cursor), np.float64, count=cursor.rowcount)
