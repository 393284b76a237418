"""The gates, and their stored reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rowguard.errors import GateError
from sql_scoring import registry
from tests.db.lifecycle.models import champion_of, change_model, train_small
from tests.fix_database import Workspace
from trainer.forest import ForestParameters
from trainer.gates import evaluate_gates
from trainer.retrain import deploy, retrain


def last_report(workspace: Workspace, version: str) -> Mapping[str, Any]:
    with workspace.connect() as connection:
        report = registry.last_gate_report(connection, version)
    assert report is not None
    return report


def test_the_report_of_the_first_champion_is_stored(scored: Workspace) -> None:
    champion = champion_of(scored)
    assert champion is not None
    report = last_report(scored, champion)
    details = report["details"]
    assert report["is_passed"] and report["reasons"] == [] and report["champion"] is None
    assert details["parity_differences"] == 0 and details["parity_rows"] > 5_000
    assert details["newest_rows"] > 0 and details["newest_distinct_scores"] > 10
    assert details["call_ms"] > 0 and details["first_call_ms"] > 0
    assert details["evaluation_frauds"] >= scored.settings.gate_min_frauds


def test_a_worse_candidate_is_rejected_on_the_same_rows_and_force_is_recorded(scored: Workspace) -> None:
    champion, small = (
        champion_of(scored),
        train_small(scored, 1, ForestParameters(n_estimators=1, max_leaf_nodes=3)),
    )
    with pytest.raises(GateError, match="was rejected, nothing changed: .*average precision"):
        deploy(scored.url, scored.settings, small)
    assert champion_of(scored) == champion
    report = last_report(scored, small)
    precision = report["details"]["average_precision"]
    assert report["champion"] == champion
    assert report["details"]["compared_by"] == "the champion's evaluation forest"
    assert precision["high"] < 0 and precision["low"] < precision["difference"] < precision["high"]
    with scored.connect() as connection:
        rejected = registry.get_model(connection, small)
    assert rejected.state == "rejected" and rejected.state_reason == "; ".join(report["reasons"])

    deploy(scored.url, scored.settings, small, force=True)
    assert last_report(scored, small)["is_forced"] is True
    with scored.connect() as connection:
        forced = registry.get_model(connection, small)
    assert forced.state == "champion"
    assert (forced.state_reason or "").startswith("deployed; by force, against: ")
    assert "average precision" in (forced.state_reason or "")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"gate_min_frauds": 1_000_000}, "fewer than 1,000,000"),
        ({"gate_max_nodes": 10}, "nodes are more than 10"),
        ({"gate_max_sql_mb": 0.0001}, "MB of SQL are more than"),
        ({"gate_max_call_ms": 0.000001}, "more than"),
    ],
)
def test_limits_reject(scored: Workspace, settings: dict[str, Any], reason: str) -> None:
    small = train_small(scored, 1)
    report = evaluate_gates(
        scored.url, scored.settings.model_copy(update=settings), small, as_challenger=True
    )
    assert not report.passed
    assert any(reason in given for given in report.reasons)


def test_a_challenger_skips_the_quality_gates(scored: Workspace) -> None:
    small = train_small(scored, 1)
    assert evaluate_gates(scored.url, scored.settings, small, as_challenger=True).passed
    done = deploy(scored.url, scored.settings, small, role="challenger")
    assert done.challenger == small


def test_scores_out_of_proportion_are_rejected(scored: Workspace) -> None:
    small = train_small(scored, 1)
    change_model(scored, small, threshold=0)
    report = evaluate_gates(scored.url, scored.settings, small, as_challenger=True)
    assert any("its alert rate is 100.00% on the newest rows" in reason for reason in report.reasons)


def test_a_function_that_differs_is_rejected(scored: Workspace) -> None:
    small = train_small(scored, 1)
    with scored.connect() as connection:
        text = registry.get_model(connection, small).function_text()
    assert "float '5'" in text
    change_model(scored, small, sql_text=text.replace("float '5'", "float '6'"))
    report = evaluate_gates(scored.url, scored.settings, small, as_challenger=True)
    assert not report.passed and any("differs from the model" in reason for reason in report.reasons)


def test_a_kept_champion_is_a_normal_outcome_of_a_retrain(scored: Workspace) -> None:
    champion = champion_of(scored)
    with scored.connect() as connection:
        first, last = (
            connection.execute("SELECT min(occurred_at), max(occurred_at) FROM transactions").fetchone() or ()
        )
    strict = scored.settings.model_copy(update={"gate_min_frauds": 100_000})
    result = retrain(scored.url, strict, start=first + (last - first) / 10)
    assert result.champion == champion == champion_of(scored)
    assert result.deployment is None and "fewer than 100,000" in result.kept_because[0]
    assert result.as_document()["kept_because"] == list(result.kept_because)
