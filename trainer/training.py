"""From the training set to a registered candidate: fit, evaluate, choose the threshold, transpile, write the card."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any, Final

from sklearn.ensemble import RandomForestClassifier

from rowguard.database import connect
from rowguard.progress import Progress, silent
from rowguard.settings import Settings
from sql_scoring import registry, transpile
from sql_scoring.engine import forest_shape
from sql_scoring.explain import explain_model
from trainer.artifact import artifact_path, evaluation_path, save_artifact
from trainer.dataset import Dataset, FeatureList, read_feature_list
from trainer.evaluation import AlertBudget, Evaluation, ThresholdRule, evaluate
from trainer.forest import ForestParameters, fit_forest, predict_fraud_probability
from trainer.model_card import write_model_card
from trainer.reference import reference_distribution
from trainer.window import TrainingRows, read_window

LAYOUT: Final = "bitmask"


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
    parameters: ForestParameters = ForestParameters(),
    progress: Progress = silent,
) -> TrainingResult:
    """Fit a forest, register it as a candidate, and write its card.

    Two forests are fitted: one on the earlier rows only, which is evaluated on the later ones and gives the
    threshold, and the candidate on all rows.

    Args:
        url: Address of the database.
        settings: Folder of artifacts and cards, and the label delay.
        rule: Chooses the threshold; by default the alert budget of the settings.
        start: First event time of the window; by default 60 days before its end.
        cutoff: Label cutoff; by default just after the last row.
        parameters: Size and randomness of the forest.
        progress: Called with each step.

    Returns:
        The candidate.

    Raises:
        TrainingDataError: The features are not built, or there is too little labeled data.
        UnsupportedModelError: The forest is too large to be written as SQL.
        ExplanationError: A feature has no phrases, or the forest cannot be explained.
    """
    progress("reading the training set")
    with connect(url) as connection:
        features = read_feature_list(connection)
    rows = read_window(url, timedelta(days=settings.label_delay_days), start, cutoff)
    rule = rule or AlertBudget(settings.alert_budget)
    state_dir = settings.state_dir

    earlier_forest = _fit("fitting on the earlier rows", rows.earlier, parameters, progress)
    scores = predict_fraud_probability(earlier_forest, rows.later.features)
    threshold = rule.choose(scores, rows.later.is_fraud)
    evaluation = evaluate(scores, rows.later.is_fraud, threshold)

    forest = _fit("fitting on all rows", rows.everything, parameters, progress)

    progress("writing SQL")
    record = _record(forest, features, rows, threshold, str(rule), evaluation, parameters)
    with connect(url) as connection:
        known_version = registry.find_version_by_sql(connection, record.sql_sha256, record.feature_hash)
        known = registry.get_model(connection, known_version) if known_version else None
    version = known.version if known else record.version
    path, card = artifact_path(state_dir, version), state_dir / "models" / version / "model_card.md"
    # Files of a known version may be lost, or on another machine: the same data give them again.
    if known is None:
        evaluation_sha256 = save_artifact(earlier_forest, evaluation_path(state_dir, version))
        record = replace(
            record,
            artifact_sha256=save_artifact(forest, path),
            metrics={**record.metrics, "evaluation_artifact_sha256": evaluation_sha256},
            reference=reference_distribution(features.names, rows.everything.features, forest),
            explanation=explain_model(
                forest,
                features.names,
                rows.everything.features[~rows.everything.is_fraud],
                against=settings.explain_against,
            ),
        )
        with connect(url) as connection:
            registry.register_model(connection, record)
    elif not path.exists():
        save_artifact(forest, path)
    result = known or record
    if known is None or not card.exists():
        write_model_card(card, result, evaluation, forest, scores, rows.later.is_fraud)
    return TrainingResult(version, known is None, evaluation, result.threshold, result, card)


def _fit(
    step: str, rows: Dataset, parameters: ForestParameters, progress: Progress
) -> RandomForestClassifier:
    progress(step)
    return fit_forest(
        rows.features,
        rows.is_fraud,
        parameters,
        on_trees=lambda count: progress(f"{step}: {count} of {parameters.n_estimators} trees"),
    )


def _record(
    forest: RandomForestClassifier,
    features: FeatureList,
    rows: TrainingRows,
    threshold: float,
    rule: str,
    evaluation: Evaluation,
    parameters: ForestParameters,
) -> registry.ModelRecord:
    trained_at = datetime.now(UTC)

    text = transpile(
        forest,
        feature_names=features.names,
        function_name="scoring.model",
        layout=LAYOUT,
        arguments="array",
    )
    # The name holds the date and the hash does not, so that the same model is recognized on another day.
    # The same forest with another threshold decides differently: it is another model.
    sql_sha256 = registry.function_sha256("model", text, threshold)
    version = f"rf_{trained_at:%Y%m%d}_{sql_sha256[:8]}"
    sql_text = text.replace('"scoring"."model"', f'"scoring"."{version}"', 1)
    shape = forest_shape(forest)
    return registry.ModelRecord(
        version=version,
        model_kind=type(forest).__name__,
        layout=LAYOUT,
        feature_names=list(features.names),
        feature_hash=features.hash,
        trained_at=trained_at,
        train_from=rows.window.start,
        train_to=rows.window.end,
        label_cutoff=rows.window.label_cutoff,
        row_count=len(rows.everything),
        fraud_count=rows.everything.frauds,
        threshold=threshold,
        threshold_rule=rule,
        metrics={
            **asdict(evaluation),
            "labels": asdict(rows.labels),
            "fit_until": rows.window.fit_end.isoformat(),
            "evaluated_from": rows.window.validation_start.isoformat(),
            "parameters": asdict(parameters),
        },
        tree_count=shape.trees,
        node_count=shape.nodes,
        sql_bytes=len(sql_text.encode()),
        sql_sha256=sql_sha256,
        artifact_sha256="",
        library_versions={
            name: library_version(name) for name in ("rowguard", "scikit-learn", "numpy", "m2cgen")
        },
        sql_text=sql_text,
    )
