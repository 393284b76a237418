"""Candidate and champion on the same recent, labelled rows, which neither of the compared forests had seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from rowguard.errors import RegistryError
from sql_scoring.registry import ModelRecord
from trainer.artifact import artifact_path, evaluation_path, load_artifact
from trainer.dataset import Dataset, read_dataset
from trainer.forest import fraud_probability

RESAMPLES = 400
INTERVAL = (0.025, 0.975)


@dataclass(frozen=True)
class Difference:
    """Candidate minus champion in one measure, with its bootstrap interval (95 %)."""

    candidate: float
    champion: float
    low: float
    high: float

    @property
    def is_credibly_worse(self) -> bool:
        return self.high < 0

    def as_dict(self) -> dict[str, float]:
        return {
            "candidate": round(self.candidate, 6),
            "champion": round(self.champion, 6),
            "difference": round(self.candidate - self.champion, 6),
            "low": round(self.low, 6),
            "high": round(self.high, 6),
        }


@dataclass(frozen=True)
class Comparison:
    """What a comparison rests on, and its two differences."""

    basis: str
    rows: int
    frauds: int
    average_precision: Difference
    recall_at_budget: Difference


class NotComparableError(RegistryError):
    """The two models cannot be compared on the same rows."""


def read_evaluation_rows(url: str, record: ModelRecord) -> Dataset:
    """The later rows of a version's training window, with the labels known at its cut-off."""
    return read_dataset(url, _evaluated_from(record), record.train_to, record.label_cutoff)


def compare(
    state_dir: Path, candidate: ModelRecord, champion: ModelRecord, rows: Dataset, alert_budget: float
) -> Comparison:
    """Judge both on `rows`, the candidate's evaluation rows.

    The candidate is stood for by the forest that was fitted on the earlier rows. So is the champion, unless its own
    training ended before the rows begin: then it is judged itself.

    Raises:
        NotComparableError: another feature list, a lost artifact, or the champion has seen the rows.
    """
    if champion.feature_hash != candidate.feature_hash:
        raise NotComparableError(f"the champion has another feature list, {champion.feature_hash[:8]}")
    start = _evaluated_from(candidate)
    try:
        ours = _evaluation_forest(state_dir, candidate)
        if champion.train_to <= start:
            theirs = load_artifact(artifact_path(state_dir, champion.version), champion.artifact_sha256)
            basis = "the champion itself"
        elif datetime.fromisoformat(champion.metrics["fit_until"]) <= start:
            theirs = _evaluation_forest(state_dir, champion)
            basis = "the champion's forest of its own evaluation"
        else:
            raise NotComparableError("the champion was fitted on the rows that would judge it")
    except NotComparableError:
        raise
    except RegistryError as error:
        raise NotComparableError(str(error)) from None
    own, other = (fraud_probability(forest, rows.features) for forest in (ours, theirs))
    precision, recall = differences(own, other, rows.is_fraud, alert_budget)
    return Comparison(basis, len(rows), rows.frauds, precision, recall)


def differences(
    candidate: NDArray[np.float64],
    champion: NDArray[np.float64],
    is_fraud: NDArray[np.bool_],
    alert_budget: float,
    *,
    seed: int = 0,
) -> tuple[Difference, Difference]:
    """Average precision and recall at the alert budget, on the same resamples of the rows (a paired bootstrap:
    each row counts a Poisson number of times)."""
    random = np.random.default_rng(seed)
    both = [_Ranking(scores, is_fraud) for scores in (candidate, champion)]
    ones = np.ones(len(is_fraud))
    points = [(one.average_precision(ones), one.recall(ones, alert_budget)) for one in both]
    resampled = np.empty((RESAMPLES, 2))
    for n in range(RESAMPLES):
        weights = random.poisson(1.0, len(is_fraud)).astype(np.float64)
        ours, theirs = ((one.average_precision(weights), one.recall(weights, alert_budget)) for one in both)
        resampled[n] = np.subtract(ours, theirs)
    low, high = np.quantile(resampled, INTERVAL, axis=0)
    result = [Difference(points[0][at], points[1][at], float(low[at]), float(high[at])) for at in range(2)]
    return result[0], result[1]


class _Ranking:
    """Rows by falling score; ties count together, as in scikit-learn."""

    def __init__(self, scores: NDArray[np.float64], is_fraud: NDArray[np.bool_]) -> None:
        self.order = np.argsort(-scores, kind="stable")
        ranked = scores[self.order]
        self.fraud = is_fraud[self.order].astype(np.float64)
        self.last_of_tie = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))

    def _counts(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Flagged rows and caught frauds at each threshold."""
        weights = weights[self.order]
        flagged = np.cumsum(weights)[self.last_of_tie]
        return flagged, np.cumsum(weights * self.fraud)[self.last_of_tie]

    def average_precision(self, weights: NDArray[np.float64]) -> float:
        flagged, caught = self._counts(weights)
        if caught[-1] == 0:
            return 0.0
        precision = np.divide(caught, flagged, out=np.zeros_like(caught), where=flagged > 0)
        return float(np.sum(np.diff(caught, prepend=0.0) * precision) / caught[-1])

    def recall(self, weights: NDArray[np.float64], share: float) -> float:
        flagged, caught = self._counts(weights)
        if caught[-1] == 0:
            return 0.0
        at = int(np.searchsorted(flagged, share * flagged[-1], side="right")) - 1
        return float(caught[at] / caught[-1]) if at >= 0 else 0.0


def _evaluated_from(record: ModelRecord) -> datetime:
    start = datetime.fromisoformat(record.metrics["evaluated_from"])
    return start if start.tzinfo else start.replace(tzinfo=UTC)


def _evaluation_forest(state_dir: Path, record: ModelRecord) -> RandomForestClassifier:
    sha256 = record.metrics.get("evaluation_artifact_sha256")
    if not sha256:
        raise RegistryError(f"{record.version} was trained before evaluation forests were kept")
    return load_artifact(evaluation_path(state_dir, record.version), sha256)
