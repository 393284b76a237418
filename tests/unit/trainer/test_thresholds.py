"""Thresholds: the alert budget is never exceeded, the cost is the least."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rowguard.errors import SettingsError, TrainingDataError
from trainer.evaluation import AlertBudget, ExpectedCost, evaluate

Scores = NDArray[np.float64]
Truth = NDArray[np.bool_]

# Few distinct values, so that ties are the rule.
score = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, float(np.nextafter(1, 0)), 1.0]) | st.floats(0, 1)
rows = st.lists(st.tuples(score, st.booleans()), min_size=1, max_size=60)
cost = st.floats(0.01, 1_000)


def arrays(given_rows: list[tuple[float, bool]]) -> tuple[Scores, Truth]:
    return np.array([one for one, _ in given_rows]), np.array([truth for _, truth in given_rows])


@given(rows, st.floats(0.001, 0.999))
def test_the_alert_budget_is_never_exceeded_and_never_wasted(
    given_rows: list[tuple[float, bool]], share: float
) -> None:
    scores, truth = arrays(given_rows)
    try:
        threshold = AlertBudget(share).choose(scores, truth)
    except TrainingDataError:
        assert (scores >= 1).sum() > share * len(scores)
        return
    assert 0 <= threshold <= 1
    assert (scores >= threshold).sum() <= share * len(scores)
    lower = scores[scores < threshold]
    if len(lower):
        assert (scores >= lower.max()).sum() > int(share * len(scores))


@given(rows, cost, cost)
def test_no_threshold_costs_less_than_the_chosen_one(
    given_rows: list[tuple[float, bool]], false_positive: float, false_negative: float
) -> None:
    scores, truth = arrays(given_rows)

    def total(threshold: float) -> float:
        flagged = scores >= threshold
        alarms, missed = int((flagged & ~truth).sum()), int((~flagged & truth).sum())
        return alarms * false_positive + missed * false_negative

    threshold = ExpectedCost(false_positive, false_negative).choose(scores, truth)
    candidates = [*scores, np.nextafter(scores.max(), np.inf), 0.0, 1.0]
    assert 0 <= threshold <= 1
    assert total(threshold) == pytest.approx(
        min(total(float(one)) for one in candidates if one <= 1), rel=1e-12
    )


@pytest.mark.parametrize(
    ("scores", "share", "flagged"),
    [
        ([0.9, 0.8, 0.7, 0.6], 0.5, 2),
        ([0.9, 0.8, 0.8, 0.6], 0.5, 1),  # a tie at the cut is stepped over
        ([0.8, 0.8, 0.8, 0.8], 0.5, 0),
        ([0.8], 0.5, 0),  # the sample is too small for a single alert
        ([0.0, 0.0], 0.5, 0),
        ([1.0, 0.5], 0.5, 1),
    ],
)
def test_alerts_of_a_budget(scores: list[float], share: float, flagged: int) -> None:
    values = np.array(scores)
    threshold = AlertBudget(share).choose(values, np.zeros(len(scores), bool))
    assert (values >= threshold).sum() == flagged


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_budget_exceeded_by_scores_of_1_is_rejected(share: float) -> None:
    with pytest.raises(
        TrainingDataError, match=r"3 of 4 rows have the score 1, more than the alert budget of \d+"
    ):
        AlertBudget(share).choose(np.array([1.0, 1.0, 1.0, 0.2]), np.ones(4, bool))


@pytest.mark.parametrize(
    ("false_positive", "false_negative", "threshold"),
    [
        (1, 100, 0.2),  # false negatives are expensive: flag down to the last fraud
        (100, 1, 0.9),  # false positives are expensive: flag only certain ones
        (1, 1, 0.9),
    ],
)
def test_threshold_of_least_cost(false_positive: float, false_negative: float, threshold: float) -> None:
    scores, truth = np.array([0.9, 0.5, 0.4, 0.2, 0.1]), np.array([True, False, False, True, False])
    assert ExpectedCost(false_positive, false_negative).choose(scores, truth) == threshold


def test_without_frauds_the_least_cost_is_to_flag_nothing() -> None:
    scores = np.array([0.3, 0.7])
    threshold = ExpectedCost(1, 1).choose(scores, np.zeros(2, bool))
    assert 0.7 < threshold < 0.7001


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_a_budget_lies_between_0_and_1(share: float) -> None:
    with pytest.raises(SettingsError, match="must lie between 0 and 1"):
        AlertBudget(share)


@pytest.mark.parametrize(("false_positive", "false_negative"), [(0, 1), (1, 0), (-1, 1), (float("nan"), 1)])
def test_costs_are_above_0(false_positive: float, false_negative: float) -> None:
    with pytest.raises(SettingsError, match="both costs must be above 0"):
        ExpectedCost(false_positive, false_negative)


def test_rules_are_stated_in_words() -> None:
    assert str(AlertBudget(0.005)) == "alert budget: 0.50% of transactions"
    assert str(ExpectedCost(2, 150)) == "least cost: 2 per false positive, 150 per false negative"


def test_metrics_at_a_threshold() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.4, 0.2])
    truth = np.array([True, False, True, True, False])
    got = vars(evaluate(scores, truth, 0.7))
    # Pairs ranked rightly: 2 + 1 + 1 of 6; precision at each fraud: 1, 2/3, 3/4.
    assert got.pop("auc") == pytest.approx(4 / 6)
    assert got.pop("average_precision") == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert got == {
        "rows": 5,
        "frauds": 3,
        "precision": 2 / 3,
        "recall": 2 / 3,
        "alert_rate": 0.6,
        "true_positives": 2,
        "false_positives": 1,
        "false_negatives": 1,
        "true_negatives": 1,
    }


def test_a_score_on_the_threshold_is_flagged_and_no_alert_means_no_precision() -> None:
    scores, truth = np.array([0.5, 0.1]), np.array([True, False])
    assert evaluate(scores, truth, 0.5).true_positives == 1
    assert evaluate(scores, truth, float(np.nextafter(0.5, 1))).precision is None
