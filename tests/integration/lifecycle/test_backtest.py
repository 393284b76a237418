"""The backtest over a database: the SQL function scores, and nothing is left behind."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from rowguard import pipeline
from rowguard.database import connect
from rowguard.errors import TrainingDataError
from tests.fix_database import Workspace
from trainer.backtest import BacktestPlan, judge, rows_to_test
from trainer.dataset import read_dataset, read_span
from trainer.forest import ForestParameters, fit_forest, fraud_probability

SMALL = ForestParameters(trees=10, max_leaves=16)


def _start(workspace: Workspace) -> datetime:
    with connect(workspace.url) as connection:
        first, _, _ = read_span(connection)
    return (first + timedelta(days=8)).replace(hour=0, minute=0, second=0, microsecond=0)


def test_the_sql_function_gives_the_metrics_that_scikit_learn_gives(scored_template: Workspace) -> None:
    plan = BacktestPlan(_start(scored_template))
    results = pipeline.backtest(scored_template.url, plan, folds=2, parameters=SMALL)
    assert [result.start for result in results] == [plan.start, plan.shifted(1).start]
    train = read_dataset(scored_template.url, plan.start, plan.train_end, plan.test_start)
    forest = fit_forest(train.features, train.is_fraud, SMALL)
    rows = read_dataset(scored_template.url, plan.start, plan.test_end, plan.test_end + timedelta(days=3650))
    tested = rows_to_test(plan, rows)
    expected = judge(plan, fraud_probability(forest, rows.features[tested]), rows, tested, results[0].nodes)
    assert results[0] == expected
    with scored_template.connect() as connection:
        left = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'backtest%'"
        ).fetchall()
    assert left == []


def test_folds_beyond_the_stored_transactions_are_refused(scored_template: Workspace) -> None:
    with pytest.raises(TrainingDataError, match="the folds run from"):
        pipeline.backtest(
            scored_template.url, BacktestPlan(_start(scored_template)), folds=9, parameters=SMALL
        )
