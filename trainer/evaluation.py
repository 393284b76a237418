"""How good a ranking is, and where to cut it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

from rowguard.errors import SettingsError, TrainingDataError


@dataclass(frozen=True)
class AlertBudget:
    """Flag at most this share of transactions: what people can look at."""

    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise SettingsError(f"the alert budget must lie between 0 and 1, not {self.share}")

    def __str__(self) -> str:
        return f"alert budget: {self.share:.2%} of transactions"

    def choose(self, scores: NDArray[np.float64], is_fraud: NDArray[np.bool_]) -> float:
        """The lowest threshold whose alerts (score >= threshold) fit the budget.

        Raises:
            TrainingDataError: more rows than that have the score 1, and no threshold parts them.
        """
        allowed = int(len(scores) * self.share)
        ranked = np.sort(scores)[::-1]
        cut = ranked[allowed - 1] if allowed else np.nextafter(ranked[0], np.inf)
        # Ties at the cut would break the budget: step over them.
        if 0 < allowed < len(ranked) and ranked[allowed] == cut:
            above = ranked[ranked > cut]
            cut = above[-1] if len(above) else np.nextafter(cut, np.inf)
        if cut > 1:
            raise TrainingDataError(
                f"{int((scores >= 1).sum()):,} of {len(scores):,} rows have the score 1, more than the alert "
                f"budget of {self.share:.2%}; give a larger budget or the two costs"
            )
        return float(cut)


@dataclass(frozen=True)
class ExpectedCost:
    """Flag where it costs least: a false alarm has a price, and so has a missed fraud."""

    false_alarm: float
    missed_fraud: float

    def __post_init__(self) -> None:
        if not (self.false_alarm > 0 and self.missed_fraud > 0):
            raise SettingsError("both costs must be above 0")

    def __str__(self) -> str:
        return f"least cost: {self.false_alarm:g} a false alarm, {self.missed_fraud:g} a missed fraud"

    def choose(self, scores: NDArray[np.float64], is_fraud: NDArray[np.bool_]) -> float:
        """The threshold up to 1 of least total cost on these rows; the higher one, if two cost the same."""
        order = np.argsort(-scores, kind="stable")
        ranked, caught = scores[order], np.cumsum(is_fraud[order])
        alarms = np.arange(1, len(scores) + 1) - caught
        cost = alarms * self.false_alarm + (caught[-1] - caught) * self.missed_fraud
        last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
        cost = np.where(last_of_tie, cost, np.inf)
        best = int(np.argmin(cost))
        flag_nothing = np.nextafter(ranked[0], np.inf)
        if caught[-1] * self.missed_fraud <= cost[best] and flag_nothing <= 1:
            return float(flag_nothing)
        return float(ranked[best])


ThresholdRule = AlertBudget | ExpectedCost


@dataclass(frozen=True)
class Evaluation:
    """Metrics on rows that the model did not see, later in time than those it was fitted on.

    Precision is null when nothing was flagged.
    """

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

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def evaluate(scores: NDArray[np.float64], is_fraud: NDArray[np.bool_], threshold: float) -> Evaluation:
    """Metrics of `scores` of shape (rows,); needs rows of both classes."""
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
