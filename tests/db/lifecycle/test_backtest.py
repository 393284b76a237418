"""The backtest over a database: the SQL function scores, and nothing is left behind."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from rowguard.database import connect
from rowguard.errors import SettingsError, TrainingDataError
from tests.fix_database import Workspace
from trainer.backtest.protocol import BacktestPlan, evaluate_fold, test_mask
from trainer.backtest.runner import backtest, compare_models
from trainer.dataset import read_dataset, read_feature_groups, read_time_range
from trainer.forest import ForestParameters, fit_forest, predict_fraud_probability

SMALL = ForestParameters(n_estimators=10, max_leaf_nodes=16)


def _start(workspace: Workspace) -> datetime:
    with connect(workspace.url) as connection:
        first, _, _ = read_time_range(connection)
    return (first + timedelta(days=8)).replace(hour=0, minute=0, second=0, microsecond=0)


def test_the_sql_function_gives_the_metrics_that_scikit_learn_gives(scored_template: Workspace) -> None:
    plan = BacktestPlan(_start(scored_template))
    results = backtest(scored_template.url, plan, folds=2, parameters=SMALL)
    assert [result.start for result in results] == [plan.start, plan.shifted(1).start]
    train = read_dataset(scored_template.url, plan.start, plan.train_end, plan.test_start)
    forest = fit_forest(train.features, train.is_fraud, SMALL)
    rows = read_dataset(scored_template.url, plan.start, plan.test_end, plan.test_end + timedelta(days=3650))
    tested = test_mask(plan, rows)
    expected = evaluate_fold(
        plan, predict_fraud_probability(forest, rows.features[tested]), rows, tested, results[0].nodes
    )
    assert results[0] == expected
    with scored_template.connect() as connection:
        left = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'backtest%'"
        ).fetchall()
    assert left == []


def test_folds_beyond_the_stored_transactions_are_refused(scored_template: Workspace) -> None:
    with pytest.raises(TrainingDataError, match="the folds run from"):
        backtest(scored_template.url, BacktestPlan(_start(scored_template)), folds=9, parameters=SMALL)


def test_baselines_and_the_forest_without_each_group_stand_in_one_table(scored_template: Workspace) -> None:
    plan = BacktestPlan(_start(scored_template))
    found = compare_models(scored_template.url, plan, parameters=SMALL, baselines=True, each_group=True)
    assert [one.name for one in found] == [
        "rowguard", "rowguard without user-windows", "rowguard without location", "rowguard without merchant-risk",
        "rowguard without derived",
        "handbook features, default forest", "logistic regression", "gradient boosting",
    ]  # fmt: skip
    # All are judged on the same rows, and the forest with everything is the backtest's own.
    assert len({(one.results[0].rows, one.results[0].frauds) for one in found}) == 1
    assert found[0].results == backtest(scored_template.url, plan, parameters=SMALL)
    assert found[1].results != found[0].results
    without = backtest(scored_template.url, plan, parameters=SMALL, without=["user-windows"])
    assert without == found[1].results


def test_what_is_left_out_is_scored_by_sql_as_by_scikit_learn(scored_template: Workspace) -> None:
    plan = BacktestPlan(_start(scored_template))
    (result,) = backtest(scored_template.url, plan, parameters=SMALL, without=["merchant-risk", "derived"])
    with connect(scored_template.url) as connection:
        groups = read_feature_groups(connection)
    kept = [place for place, group in enumerate(groups.values()) if group not in ("merchant-risk", "derived")]
    train = read_dataset(scored_template.url, plan.start, plan.train_end, plan.test_start)
    rows = read_dataset(scored_template.url, plan.start, plan.test_end, plan.test_end + timedelta(days=3650))
    forest = fit_forest(train.features[:, kept], train.is_fraud, SMALL)
    tested = test_mask(plan, rows)
    scores = predict_fraud_probability(forest, rows.features[tested][:, kept])
    assert result == evaluate_fold(plan, scores, rows, tested, result.nodes)


def test_an_unknown_group_is_refused_with_the_known_ones(scored_template: Workspace) -> None:
    with pytest.raises(SettingsError, match="no feature group 'weather'; there are: user-windows, location"):
        backtest(scored_template.url, BacktestPlan(_start(scored_template)), without=["weather"])
