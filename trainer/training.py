"""From the training set to a registered candidate: fit, evaluate, choose the threshold, transpile, write the card."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowguard.database import connect
from rowguard.declaration import declared_reasons
from rowguard.progress import Progress, silent
from rowguard.settings import Settings
from sql_scoring import registry
from sql_scoring.engine import reference_scores
from sql_scoring.explain import explain_model
from sql_scoring.explain.reasons import load_catalogs
from trainer.artifact import artifact_path, evaluation_path, save_artifact
from trainer.boosting import BoostingParameters
from trainer.calibration import calibrated, check_calibration, fit_steps, measure_calibration
from trainer.candidate import as_artifact, build_record
from trainer.dataset import Dataset, FeatureList, read_feature_list
from trainer.evaluation import AlertBudget, Evaluation, ThresholdRule, evaluate
from trainer.families import ModelParameters, default_parameters, fit_model
from trainer.forest import predict_fraud_probability
from trainer.model_card import write_model_card
from trainer.quality import measure_ranking, measure_seed_spread
from trainer.reference import reference_distribution
from trainer.tracking import log_training
from trainer.window import TrainingRows, read_window

SEEDS = 3  # fits whose spread the gates know of a boosted model


@dataclass(frozen=True)
class TrainingResult:
    """The candidate, its evaluation on later rows, and the path of its card.

    `is_new` is false when exactly this model was registered before.
    """

    version: str
    is_new: bool
    evaluation: Evaluation
    threshold: float
    record: registry.ModelRecord
    card: Path

    def as_document(self) -> dict[str, Any]:
        """Return what the command line and the nightly run report."""
        return {
            "version": self.version,
            "is_new": self.is_new,
            "rows": self.record.row_count,
            "frauds": self.record.fraud_count,
            "metrics": asdict(self.evaluation),
            "threshold": self.threshold,
            "threshold_rule": self.record.threshold_rule,
            "trees": self.record.tree_count,
            "nodes": self.record.node_count,
            "sql_bytes": self.record.sql_bytes,
            "model_card": str(self.card),
        }


def train(
    url: str,
    settings: Settings,
    *,
    rule: ThresholdRule | None = None,
    start: datetime | None = None,
    cutoff: datetime | None = None,
    parameters: ModelParameters | None = None,
    calibration: str | None = None,
    progress: Progress = silent,
) -> TrainingResult:
    """Fit a model, register it as a candidate, and write its card.

    Two models are fitted: one on the earlier rows only, which is evaluated on the later ones and gives the
    threshold, and the candidate on all rows.

    Args:
        url: Address of the database.
        settings: Folder of artifacts and cards, and the label delay.
        rule: Chooses the threshold; by default the alert budget of the settings.
        start: First event time of the window; by default 60 days before its end.
        cutoff: Label cutoff; by default just after the last row.
        parameters: Size and randomness of the model; by default those of the family of the settings.
        calibration: `none`, or `isotonic`, fitted on the later rows; by default that of the settings.
        progress: Called with each step.

    Returns:
        The candidate.

    Raises:
        TrainingDataError: The features are not built, or there is too little labeled data.
        UnsupportedModelError: The model is too large to be written as SQL.
        SettingsError: The family's library is not installed, or the calibration has no exact form.
        ExplanationError: A feature has no phrases, or the forest cannot be explained.
    """
    parameters = parameters or default_parameters(settings.model_family)
    calibration = calibration or settings.calibration
    check_calibration(calibration)
    progress("reading the training set")
    with connect(url) as connection:
        features = read_feature_list(connection)
    # Without words there is no explanation: say so before the fits, not after them.
    load_catalogs(features.names, declared=declared_reasons(settings))
    rows = read_window(url, timedelta(days=settings.label_delay_days), start, cutoff)
    rule = rule or AlertBudget(settings.alert_budget)

    earlier_model = _fit("fitting on the earlier rows", rows.earlier, parameters, features, progress)
    raw_scores = predict_fraud_probability(earlier_model, rows.later.features)
    earlier, scores, steps = as_artifact(earlier_model, rows.later.features), raw_scores, None
    if calibration == "isotonic":
        sums = reference_scores(earlier_model, rows.later.features.astype(np.float64))
        steps = fit_steps(sums, rows.later.is_fraud)
        earlier = calibrated(earlier, steps)
        scores = predict_fraud_probability(earlier, rows.later.features)
    threshold = rule.choose(scores, rows.later.is_fraud)
    evaluation = evaluate(scores, rows.later.is_fraud, threshold)
    metrics = {
        **asdict(evaluation),
        "labels": asdict(rows.labels),
        "fit_until": rows.window.fit_end.isoformat(),
        "evaluated_from": rows.window.validation_start.isoformat(),
        "parameters": asdict(parameters),
    }
    budget = settings.alert_budget
    if isinstance(parameters, BoostingParameters):
        metrics["seed_std"] = _measure_seed_spread(parameters, rows, features, raw_scores, budget, progress)
    elif steps is not None:  # the artifact of a calibrated forest is no longer scikit-learn's
        metrics["seed_std"] = measure_seed_spread(earlier_model, rows.later, budget).tolist()
    if steps is not None:
        metrics["calibration"] = measure_calibration(sums, rows.later.is_fraud)

    fitted = _fit("fitting on all rows", rows.everything, parameters, features, progress)

    progress("writing SQL")
    model = as_artifact(fitted, rows.later.features)
    model = model if steps is None else calibrated(model, steps)
    record = build_record(
        model, features, rows, threshold=threshold, rule=str(rule), metrics=metrics, cut_model=fitted
    )
    result = store_candidate(url, settings, record, model, earlier, rows, features, evaluation, scores)
    if result.is_new:
        log_training(result.record, progress)
    return result


def store_candidate(
    url: str,
    settings: Settings,
    record: registry.ModelRecord,
    model: Any,
    evaluated: Any,
    rows: TrainingRows,
    features: FeatureList,
    evaluation: Evaluation,
    scores: NDArray[np.float64],
) -> TrainingResult:
    """Register a candidate with its artifacts and its card, unless exactly this model was registered before.

    Args:
        url: Address of the database.
        settings: Folder of artifacts and cards, and what explanations compare with.
        record: See `build_record`.
        model: The artifact.
        evaluated: The artifact that was evaluated on the later rows.
        rows: The window.
        features: The feature list in model order.
        evaluation: Metrics on the later rows.
        scores: Fraud probabilities of the later rows, shape (rows,).

    Returns:
        The candidate.
    """
    state_dir = settings.state_dir
    with connect(url) as connection:
        known_version = registry.find_version_by_sql(connection, record.sql_sha256, record.feature_hash)
        known = registry.get_model(connection, known_version) if known_version else None
    version = known.version if known else record.version
    path, card = artifact_path(state_dir, version), state_dir / "models" / version / "model_card.md"
    # Files of a known version may be lost, or on another machine: the same data give them again.
    if known is None:
        evaluation_sha256 = save_artifact(evaluated, evaluation_path(state_dir, version))
        record = replace(
            record,
            artifact_sha256=save_artifact(model, path),
            metrics={**record.metrics, "evaluation_artifact_sha256": evaluation_sha256},
            reference=reference_distribution(features.names, rows.everything.features, model),
            explanation=explain_model(
                model,
                features.names,
                rows.everything.features[~rows.everything.is_fraud],
                against=settings.explain_against,
                declared=declared_reasons(settings),
            ),
        )
        with connect(url) as connection:
            registry.register_model(connection, record)
    elif not path.exists():
        save_artifact(model, path)
    result = known or record
    if known is None or not card.exists():
        write_model_card(card, result, evaluation, model, scores, rows.later.is_fraud)
    return TrainingResult(version, known is None, evaluation, result.threshold, result, card)


def _fit(
    step: str,
    rows: Dataset,
    parameters: ModelParameters,
    features: FeatureList,
    progress: Progress,
) -> Any:
    progress(step)
    return fit_model(
        rows.features,
        rows.is_fraud,
        parameters,
        names=features.names,
        on_trees=lambda count: progress(f"{step}: {count} of {parameters.n_estimators} trees"),
    )


def _measure_seed_spread(
    parameters: BoostingParameters,
    rows: TrainingRows,
    features: FeatureList,
    scores: NDArray[np.float64],
    alert_budget: float,
    progress: Progress,
) -> list[float]:
    """Standard deviations of average precision and recall at the budget between seeds: trees are not independent."""
    fitted = [scores]
    for seed in range(1, SEEDS):
        other = replace(parameters, random_state=parameters.random_state + seed)
        model = _fit(f"fitting seed {seed + 1} of {SEEDS}", rows.earlier, other, features, progress)
        fitted.append(predict_fraud_probability(model, rows.later.features))
    measures = [measure_ranking(one, rows.later.is_fraud, alert_budget) for one in fitted]
    return [float(value) for value in np.std(np.array(measures), axis=0, ddof=1)]
