"""Candidate and champion compared on the same recent labeled rows, which neither forest was fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from rowguard.errors import RegistryError
from sql_scoring.engine import TreeModel
from sql_scoring.registry import ModelRecord
from trainer.artifact import evaluation_path, load_artifact, load_model
from trainer.dataset import Dataset, read_dataset
from trainer.forest import predict_fraud_probability

RESAMPLES = 400
INTERVAL = (0.025, 0.975)
REDRAWN_FORESTS = 24


@dataclass(frozen=True)
class Difference:
    """Candidate minus champion in one measure, with its interval (95 %).

    Attributes:
        seed_std: Standard deviation of the difference between draws of the same two forests.
        low: Lower end of the interval, which covers the draw of the rows and of the forests.
        high: Its upper end.
    """

    candidate: float
    champion: float
    seed_std: float
    low: float
    high: float

    @property
    def is_significantly_worse(self) -> bool:
        """Whether the whole interval is below zero."""
        return self.high < 0

    def as_dict(self) -> dict[str, float]:
        """Return the rounded values by name."""
        return {
            "candidate": round(self.candidate, 6),
            "champion": round(self.champion, 6),
            "difference": round(self.candidate - self.champion, 6),
            "seed_std": round(self.seed_std, 6),
            "low": round(self.low, 6),
            "high": round(self.high, 6),
        }


@dataclass(frozen=True)
class Comparison:
    """Which forests were compared on which rows, and the two differences."""

    basis: str
    rows: int
    frauds: int
    average_precision: Difference
    recall_at_budget: Difference


def read_evaluation_rows(url: str, record: ModelRecord) -> Dataset:
    """Return the later rows of a version's training window, with the labels known at its cutoff."""
    return read_dataset(url, _evaluated_from(record), record.train_to, record.label_cutoff)


def compare_with_champion(
    state_dir: Path, candidate: ModelRecord, champion: ModelRecord, rows: Dataset, alert_budget: float
) -> Comparison:
    """Compare both models on the candidate's evaluation rows.

    The forest fitted on the earlier rows represents the candidate, and also the champion, unless the champion's
    training ended before the rows start: then the champion itself is compared.

    Args:
        state_dir: Folder of the artifacts.
        candidate: The candidate's record.
        champion: The champion's record.
        rows: The candidate's evaluation rows.
        alert_budget: Alert rate at which recall is compared.

    Returns:
        The differences with their intervals.

    Raises:
        RegistryError: Another feature list, a lost artifact, or the champion was fitted on the rows.
    """
    if champion.feature_hash != candidate.feature_hash:
        raise RegistryError(f"the champion has another feature list, {champion.feature_hash[:8]}")
    start = _evaluated_from(candidate)
    candidate_forest = _evaluation_forest(state_dir, candidate)
    if champion.train_to <= start:
        champion_forest = load_model(state_dir, champion)
        basis = "the champion itself"
    elif datetime.fromisoformat(champion.metrics["fit_until"]) <= start:
        champion_forest = _evaluation_forest(state_dir, champion)
        basis = "the champion's evaluation forest"
    else:
        raise RegistryError("the champion was fitted on the evaluation rows")
    forests = (candidate_forest, champion_forest)
    candidate_scores, champion_scores = (
        predict_fraud_probability(forest, rows.features) for forest in forests
    )
    spreads = [
        _seed_spread(forest, record, rows, alert_budget)
        for forest, record in zip(forests, (candidate, champion), strict=True)
    ]
    precision, recall = bootstrap_differences(
        candidate_scores, champion_scores, rows.is_fraud, alert_budget, seed_std=np.hypot(*spreads)
    )
    return Comparison(basis, len(rows), rows.frauds, precision, recall)


def _seed_spread(model: Any, record: ModelRecord, rows: Dataset, alert_budget: float) -> NDArray[np.float64]:
    """The spread of a forest by its trees; of a boosted model the one that its training measured, if it did."""
    if isinstance(model, TreeModel):
        return np.array(record.metrics.get("seed_std", (0.0, 0.0)), dtype=np.float64)
    return measure_seed_spread(model, rows, alert_budget)


def measure_ranking(
    scores: NDArray[np.float64], is_fraud: NDArray[np.bool_], alert_budget: float
) -> tuple[float, float]:
    """Measure average precision, and recall at the alert budget.

    Args:
        scores: Shape (rows,).
        is_fraud: Labels, shape (rows,).
        alert_budget: Alert rate at which recall is measured.
    """
    return _Ranking(scores, is_fraud).measure(np.ones(len(scores)), alert_budget)


def measure_seed_spread(
    forest: RandomForestClassifier, rows: Dataset, alert_budget: float
) -> NDArray[np.float64]:
    """Measure how far another seed moves a forest's metrics.

    Trees are independent draws, so forests of trees redrawn from it differ as forests of other seeds do.

    Args:
        forest: A fitted forest.
        rows: Rows that it was not fitted on.
        alert_budget: Alert rate at which recall is measured.

    Returns:
        Standard deviations of average precision, and of recall at the alert budget.
    """
    features = np.ascontiguousarray(rows.features)
    trees = np.stack([tree.tree_.predict(features)[:, 1] for tree in forest.estimators_])
    random = np.random.default_rng(0)
    count = len(trees)
    measures = [
        _Ranking(random.multinomial(count, np.full(count, 1 / count)) @ trees / count, rows.is_fraud).measure(
            np.ones(len(rows)), alert_budget
        )
        for _ in range(REDRAWN_FORESTS)
    ]
    spread: NDArray[np.float64] = np.std(np.array(measures), axis=0, ddof=1)
    return spread


def bootstrap_differences(
    candidate: NDArray[np.float64],
    champion: NDArray[np.float64],
    is_fraud: NDArray[np.bool_],
    alert_budget: float,
    *,
    seed_std: NDArray[np.float64] | tuple[float, float] = (0.0, 0.0),
    seed: int = 0,
) -> tuple[Difference, Difference]:
    """Compare two rankings by a paired bootstrap: each row counts a Poisson number of times.

    Args:
        candidate: Scores, shape (rows,).
        champion: Scores of the same rows, shape (rows,).
        is_fraud: Labels, shape (rows,).
        alert_budget: Alert rate at which recall is compared.
        seed_std: Standard deviations of the two differences between draws of the forests; they widen the intervals.
        seed: Of the resamples.

    Returns:
        The differences of average precision and of recall at the alert budget.
    """
    random = np.random.default_rng(seed)
    rankings = [_Ranking(scores, is_fraud) for scores in (candidate, champion)]

    def measure(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([ranking.measure(weights, alert_budget) for ranking in rankings])

    points = measure(np.ones(len(is_fraud)))
    resampled = np.empty((RESAMPLES, 2))
    for n in range(RESAMPLES):
        own, other = measure(random.poisson(1.0, len(is_fraud)).astype(np.float64))
        resampled[n] = own - other
    difference = points[0] - points[1]
    low, high = np.quantile(resampled, INTERVAL, axis=0)
    # Rows and trees are drawn independently, so their errors add in quadrature.
    low = difference - np.hypot(difference - low, 1.96 * np.asarray(seed_std))
    high = difference + np.hypot(high - difference, 1.96 * np.asarray(seed_std))
    precision, recall = (
        Difference(*(float(value[n]) for value in (*points, np.asarray(seed_std), low, high)))
        for n in range(2)
    )
    return precision, recall


class _Ranking:
    """Rows by falling score; ties count together, as in scikit-learn."""

    def __init__(self, scores: NDArray[np.float64], is_fraud: NDArray[np.bool_]) -> None:
        self.order = np.argsort(-scores, kind="stable")
        ranked = scores[self.order]
        self.fraud = is_fraud[self.order].astype(np.float64)
        self.last_of_tie = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))

    def measure(self, weights: NDArray[np.float64], alert_rate: float) -> tuple[float, float]:
        """Return average precision, and recall at an alert rate, with each row counted `weight` times."""
        weights = weights[self.order]
        flagged = np.cumsum(weights)[self.last_of_tie]
        true_positives = np.cumsum(weights * self.fraud)[self.last_of_tie]
        frauds = true_positives[-1]
        if frauds == 0:
            return 0.0, 0.0
        precision = np.divide(true_positives, flagged, out=np.zeros_like(true_positives), where=flagged > 0)
        average_precision = np.sum(np.diff(true_positives, prepend=0.0) * precision) / frauds
        at = int(np.searchsorted(flagged, alert_rate * flagged[-1], side="right")) - 1
        return float(average_precision), float(true_positives[at] / frauds) if at >= 0 else 0.0


def _evaluated_from(record: ModelRecord) -> datetime:
    start = datetime.fromisoformat(record.metrics["evaluated_from"])
    return start if start.tzinfo else start.replace(tzinfo=UTC)


def _evaluation_forest(state_dir: Path, record: ModelRecord) -> Any:
    sha256 = record.metrics.get("evaluation_artifact_sha256")
    if not sha256:
        raise RegistryError(f"{record.version} has no evaluation forest")
    return load_artifact(evaluation_path(state_dir, record.version), sha256)
