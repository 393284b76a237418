"""Metrics of a ranking, and the rules that choose its threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

from rowguard.errors import SettingsError, TrainingDataError


@dataclass(frozen=True)
class AlertBudget:
    """The largest alert rate that analysts can review."""

    rate: float

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise SettingsError(f"the alert budget must lie between 0 and 1, not {self.rate}")

    def __str__(self) -> str:
        return f"alert budget: {self.rate:.2%} of transactions"

    def choose(self, scores: NDArray[np.float64], is_fraud: NDArray[np.bool_]) -> float:
        """Return the lowest threshold whose alerts (score >= threshold) fit the budget.

        Args:
            scores: Fraud probabilities, shape (rows,).
            is_fraud: Labels, shape (rows,); not used.

        Raises:
            TrainingDataError: More rows than the budget have the score 1, and no threshold separates them.
        """
        allowed = int(len(scores) * self.rate)
        ranked = np.sort(scores)[::-1]
        cut = ranked[allowed - 1] if allowed else np.nextafter(ranked[0], np.inf)
        # Ties at the cut would exceed the budget.
        if 0 < allowed < len(ranked) and ranked[allowed] == cut:
            above = ranked[ranked > cut]
            cut = above[-1] if len(above) else np.nextafter(cut, np.inf)
        if cut > 1:
            raise TrainingDataError(
                f"{int((scores >= 1).sum()):,} of {len(scores):,} rows have the score 1, more than the alert "
                f"budget of {self.rate:.2%}; give a larger budget or the two costs"
            )
        return float(cut)


@dataclass(frozen=True)
class ExpectedCost:
    """The least total cost, given what a false positive and a false negative cost."""

    false_positive_cost: float
    false_negative_cost: float

    def __post_init__(self) -> None:
        if not (self.false_positive_cost > 0 and self.false_negative_cost > 0):
            raise SettingsError("both costs must be above 0")

    def __str__(self) -> str:
        return (
            f"least cost: {self.false_positive_cost:g} per false positive, "
            f"{self.false_negative_cost:g} per false negative"
        )

    def choose(self, scores: NDArray[np.float64], is_fraud: NDArray[np.bool_]) -> float:
        """Return the threshold of least total cost, at most 1; of two equal ones the higher.

        Args:
            scores: Fraud probabilities, shape (rows,).
            is_fraud: Labels, shape (rows,).
        """
        order = np.argsort(-scores, kind="stable")
        ranked, true_positives = scores[order], np.cumsum(is_fraud[order])
        frauds = true_positives[-1]
        false_positives = np.arange(1, len(scores) + 1) - true_positives
        cost = (
            false_positives * self.false_positive_cost + (frauds - true_positives) * self.false_negative_cost
        )
        is_last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
        cost = np.where(is_last_of_tie, cost, np.inf)
        best = int(np.argmin(cost))
        flag_nothing = np.nextafter(ranked[0], np.inf)
        if frauds * self.false_negative_cost <= cost[best] and flag_nothing <= 1:
            return float(flag_nothing)
        return float(ranked[best])


ThresholdRule = AlertBudget | ExpectedCost


@dataclass(frozen=True)
class Evaluation:
    """Metrics on rows later than those that the model was fitted on; precision is None without alerts."""

    rows: int
    frauds: int
    auc: float
    average_precision: float
    precision: float | None
    recall: float
    alert_rate: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int


def evaluate(scores: NDArray[np.float64], is_fraud: NDArray[np.bool_], threshold: float) -> Evaluation:
    """Compute the metrics of a ranking.

    Args:
        scores: Fraud probabilities, shape (rows,).
        is_fraud: Labels, shape (rows,); both classes must occur.
        threshold: Scores from here on are alerts.

    Returns:
        Metrics and confusion matrix.
    """
    flagged = scores >= threshold
    tn, fp, fn, tp = (int(n) for n in confusion_matrix(is_fraud, flagged, labels=[False, True]).ravel())
    return Evaluation(
        rows=len(scores),
        frauds=tp + fn,
        auc=float(roc_auc_score(is_fraud, scores)),
        average_precision=float(average_precision_score(is_fraud, scores)),
        precision=tp / (tp + fp) if tp + fp else None,
        recall=tp / (tp + fn),
        alert_rate=float(flagged.mean()),
        true_positives=tp,
        false_positives=fp,
        false_negatives=fn,
        true_negatives=tn,
    )
