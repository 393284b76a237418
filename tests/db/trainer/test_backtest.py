"""The backtest over a database: the SQL function scores, and nothing is left behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rowguard.database import connect
from rowguard.errors import SettingsError, TrainingDataError
from rowguard.operations.importer import load_history
from simulator import SimulationConfig, simulate
from sql_scoring.engine import forest_shape
from tests.fix_database import Workspace
from trainer.backtest.protocol import BacktestPlan, BacktestResult, evaluate_fold, read_folds
from trainer.backtest.runner import build_missing_features, compare_models
from trainer.dataset import read_feature_groups, read_time_range
from trainer.forest import ForestParameters, fit_forest, predict_fraud_probability

pytestmark = pytest.mark.slow

SMALL = ForestParameters(n_estimators=10, max_leaf_nodes=16)


def _run(url: str, plan: BacktestPlan, **options: Any) -> list[BacktestResult]:
    """The results of the forest alone, which come first."""
    return next(iter(compare_models(url, plan, **options).values()))


def _start(workspace: Workspace) -> datetime:
    with connect(workspace.url) as connection:
        first, _, _ = read_time_range(connection)
    return (first + timedelta(days=8)).replace(hour=0, minute=0, second=0, microsecond=0)


def _evaluate_by_scikit_learn(url: str, plan: BacktestPlan, without: tuple[str, ...] = ()) -> BacktestResult:
    with connect(url) as connection:
        groups = read_feature_groups(connection)
    columns = [position for position, group in enumerate(groups.values()) if group not in without]
    (fold,) = read_folds(url, [plan])
    forest = fit_forest(fold.train.features[:, columns], fold.train.is_fraud, SMALL)
    scores = predict_fraud_probability(forest, fold.tested.features[:, columns])
    return evaluate_fold(fold, scores, forest_shape(forest).nodes)


def test_the_sql_function_gives_the_metrics_that_scikit_learn_gives(scored_template: Workspace) -> None:
    plan = BacktestPlan(_start(scored_template))
    results = _run(scored_template.url, plan, folds=2, parameters=SMALL)
    assert [result.start for result in results] == [plan.start, plan.shifted(1).start]
    assert results[0] == _evaluate_by_scikit_learn(scored_template.url, plan)
    with scored_template.connect() as connection:
        left = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'backtest%'"
        ).fetchall()
    assert left == []


def test_folds_beyond_the_stored_transactions_are_refused(scored_template: Workspace) -> None:
    with pytest.raises(TrainingDataError, match="the folds run from"):
        _run(scored_template.url, BacktestPlan(_start(scored_template)), folds=9, parameters=SMALL)


def test_baselines_and_ablation_are_in_one_table(scored_template: Workspace) -> None:
    plan = BacktestPlan(_start(scored_template))
    models = compare_models(scored_template.url, plan, parameters=SMALL, baselines=True, ablation=True)
    assert list(models) == [
        "rowguard", "rowguard without user-windows", "rowguard without location", "rowguard without merchant-risk",
        "rowguard without derived",
        "default forest", "logistic regression", "gradient boosting",
    ]  # fmt: skip
    # All are evaluated on the same rows.
    assert len({(results[0].rows, results[0].frauds) for results in models.values()}) == 1
    assert models["rowguard"] == _run(scored_template.url, plan, parameters=SMALL)
    assert models["rowguard without user-windows"] != models["rowguard"]
    without = _run(scored_template.url, plan, parameters=SMALL, without=["user-windows"])
    assert without == models["rowguard without user-windows"]


def test_what_is_left_out_is_scored_by_sql_as_by_scikit_learn(scored_template: Workspace) -> None:
    plan, without = BacktestPlan(_start(scored_template)), ("merchant-risk", "derived")
    (result,) = _run(scored_template.url, plan, parameters=SMALL, without=without)
    assert result == _evaluate_by_scikit_learn(scored_template.url, plan, without)


def test_an_unknown_group_is_refused_with_the_known_ones(scored_template: Workspace) -> None:
    with pytest.raises(SettingsError, match="no feature group 'weather'; there are: user-windows, location"):
        _run(scored_template.url, BacktestPlan(_start(scored_template)), without=["weather"])


def _import(workspace: Workspace, days: int, end: datetime) -> None:
    world = simulate(SimulationConfig(users=200, merchants=100, days=days, end=end, seed=3, fraud_rate=0.05))
    rows = world.transactions.drop_columns(["scenario"])
    load_history(workspace.url, rows.to_batches(), label_delay=timedelta(days=7), source="test")


def test_after_an_import_the_features_are_built(migrated: Workspace) -> None:
    plan = BacktestPlan(datetime(2026, 3, 2, tzinfo=UTC))
    with pytest.raises(TrainingDataError, match="there are no transactions; run: rowguard import FILE"):
        build_missing_features(migrated.url, migrated.settings, plan.test_end)
    _import(migrated, 30, datetime(2026, 3, 28, tzinfo=UTC))
    with migrated.connect() as connection, pytest.raises(TrainingDataError, match="run: rowguard features"):
        read_time_range(connection)
    steps: list[str] = []
    assert build_missing_features(migrated.url, migrated.settings, plan.test_end, progress=steps.append)
    assert steps[0] == "building the features of new transactions"
    (result,) = _run(migrated.url, plan, parameters=SMALL)
    assert result.frauds > 0
    assert not build_missing_features(migrated.url, migrated.settings, plan.test_end)
    # Rows after the folds do not matter, older ones do.
    _import(migrated, 1, datetime(2026, 4, 20, tzinfo=UTC))
    assert not build_missing_features(migrated.url, migrated.settings, plan.test_end)
    _import(migrated, 1, datetime(2026, 3, 10, tzinfo=UTC))
    assert build_missing_features(migrated.url, migrated.settings, plan.test_end)
