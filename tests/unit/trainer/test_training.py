"""A training run: what is registered, what is written, and that it can be repeated."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rowguard.errors import TrainingDataError
from sql_scoring import registry
from tests.fix_database import Workspace
from trainer.artifact import artifact_path, load_artifact
from trainer.dataset import read_time_range
from trainer.evaluation import AlertBudget, ExpectedCost, ThresholdRule
from trainer.forest import ForestParameters
from trainer.training import TrainingResult, train

SMALL = ForestParameters(n_estimators=5, max_leaf_nodes=8)
WEEK = timedelta(days=7)


def small(workspace: Workspace, rule: ThresholdRule | None = None) -> TrainingResult:
    return train(workspace.url, workspace.settings, rule=rule or AlertBudget(0.02), parameters=SMALL)


def test_a_candidate_is_registered_with_its_card_and_plots(scored: Workspace) -> None:
    steps: list[str] = []
    result = train(
        scored.url, scored.settings, rule=AlertBudget(0.02), parameters=SMALL, progress=steps.append
    )
    with scored.connect() as connection:
        record = registry.get_model(connection, result.version)
        _, last, _ = read_time_range(connection)
    assert result.is_new and record.state == "candidate"
    assert record.threshold == result.threshold and record.tree_count == 5
    assert record.label_cutoff - record.train_to == WEEK and record.train_to < last
    assert result.evaluation.alert_rate <= 0.02
    load_artifact(artifact_path(scored.settings.state_dir, result.version), record.artifact_sha256)
    text = result.card.read_text()
    for fact in (
        f"# Model {result.version}",
        f"{record.row_count:,} from",
        f"{result.evaluation.auc:.4f}",
        f"{result.evaluation.average_precision:.4f}",
        f"{result.threshold:.6f} (alert budget: 2.00% of transactions)",
        *(f"| `{name}` |" for name in record.feature_names),
        "| n_estimators | 5 |",
    ):
        assert fact in text
    assert "{" not in text
    assert result.card.with_name("plots.png").read_bytes().startswith(b"\x89PNG")
    assert steps[::2] == [
        "reading the training set",
        "fitting on the earlier rows: 5 of 5 trees",
        "fitting on all rows: 5 of 5 trees",
    ]


def test_the_same_data_give_the_same_model(scored: Workspace) -> None:
    first, second = small(scored), small(scored)
    assert first.is_new and not second.is_new
    assert (second.version, second.threshold, second.evaluation) == (
        first.version,
        first.threshold,
        first.evaluation,
    )
    assert second.record.sql_sha256 == first.record.sql_sha256


def test_another_threshold_is_another_model(scored: Workspace) -> None:
    budget, cost = small(scored), small(scored, ExpectedCost(1, 50))
    assert cost.is_new and cost.version != budget.version
    assert cost.record.threshold_rule == "least cost: 1 per false positive, 50 per false negative"
    with scored.connect() as connection:
        stored = {
            version: registry.get_model(connection, version) for version in (budget.version, cost.version)
        }
    assert stored[cost.version].threshold == cost.threshold != budget.threshold


def test_lost_files_of_a_known_model_come_back_when_it_is_trained_again(scored: Workspace) -> None:
    first = small(scored)
    path = artifact_path(scored.settings.state_dir, first.version)
    path.unlink()
    first.card.unlink()
    again = small(scored)
    assert not again.is_new and again.card == first.card
    assert f"# Model {first.version}" in again.card.read_text()
    assert load_artifact(path, again.record.artifact_sha256).n_estimators == 5


def test_too_few_frauds_are_counted_in_the_refusal(scored: Workspace) -> None:
    with scored.connect() as connection:
        connection.execute("DELETE FROM fraud_labels WHERE is_fraud")
        before = registry.list_models(connection)
    with pytest.raises(TrainingDataError, match=r"too few labeled frauds: 0 from .* \(at least 20\), 0 from"):
        small(scored)
    with scored.connect() as connection:
        assert registry.list_models(connection) == before
