"""Another threshold for the champion, as a version and deployment of its kind, without training."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from rowguard.database import connect
from rowguard.errors import NoModelError, RegistryError
from rowguard.progress import Progress, silent
from rowguard.settings import Settings
from sql_scoring import deployment as deployments
from sql_scoring import registry
from sql_scoring.engine import margin_cut, returns_margin
from trainer.artifact import artifact_path, evaluation_path, load_artifact, load_model
from trainer.dataset import Dataset, read_dataset
from trainer.evaluation import Evaluation, ThresholdRule, evaluate
from trainer.forest import predict_fraud_probability
from trainer.quality import read_evaluation_rows
from trainer.registration import FixedThreshold
from trainer.retrain import deploy
from trainer.window import MIN_FRAUDS_TO_EVALUATE


@dataclass(frozen=True)
class ThresholdChange:
    """The threshold before and after, both on the same labeled rows.

    Attributes:
        version: The new version, or None when nothing was deployed.
        basis: Which rows, and which model scored them.
    """

    version: str | None
    previous: str
    threshold: float
    previous_threshold: float
    rule: str
    basis: str
    after: Evaluation
    before: Evaluation
    deployment: deployments.Deployment | None = None

    def as_document(self) -> dict[str, Any]:
        """Return what the command line reports."""
        return {
            "version": self.version,
            "previous": self.previous,
            "threshold": self.threshold,
            "previous_threshold": self.previous_threshold,
            "threshold_rule": self.rule,
            "basis": self.basis,
            "after": asdict(self.after),
            "before": asdict(self.before),
            "deployment": self.deployment.as_document() if self.deployment else None,
        }


def change_threshold(
    url: str,
    settings: Settings,
    rule: ThresholdRule | FixedThreshold,
    *,
    dry_run: bool = False,
    force: bool = False,
    progress: Progress = silent,
) -> ThresholdChange:
    """Deploy the champion with another threshold, after the gates.

    Args:
        url: Address of the database.
        settings: Folders, and thresholds of the gates.
        rule: Chooses the threshold on recent labeled rows, or holds it.
        dry_run: Only report what it would have done.
        force: Deploy despite the gates; recorded.
        progress: Called with each step.

    Returns:
        The change.

    Raises:
        NoModelError: No model is deployed.
        RegistryError: The threshold is that of the champion already.
        GateError: A gate rejected it; nothing changed.
    """
    with connect(url) as connection:
        version = registry.champion_version(connection)
        if version is None:
            raise NoModelError
        champion = registry.get_model(connection, version)
    progress("scoring recent labeled rows")
    rows, scorer, basis = _recent_rows(url, settings, champion)
    scores = predict_fraud_probability(scorer, rows.features)
    threshold = rule.choose(scores, rows.is_fraud)
    if threshold == champion.threshold:
        raise RegistryError(f"{threshold!r} is the threshold of {version} already; nothing changed")
    change = ThresholdChange(
        None,
        version,
        threshold,
        champion.threshold,
        str(rule),
        basis,
        evaluate(scores, rows.is_fraud, threshold),
        evaluate(scores, rows.is_fraud, champion.threshold),
    )
    if dry_run:
        return change
    model = load_model(settings.state_dir, champion)
    record = _with_threshold(champion, model, change)
    with connect(url) as connection:
        known = registry.find_version_by_sql(connection, record.sql_sha256, record.feature_hash)
        if known is None:
            _copy_artifacts(settings, champion.version, record.version)
            registry.register_model(connection, record)
    new_version = known or record.version
    deployment = deploy(url, settings, new_version, force=force, progress=progress)
    return replace(change, version=new_version, deployment=deployment)


def _recent_rows(url: str, settings: Settings, champion: registry.ModelRecord) -> tuple[Dataset, Any, str]:
    """Labeled rows that the scoring model was not fitted on, the model, and both as text."""
    end = datetime.now(UTC)
    rows = read_dataset(url, champion.train_to, end, None)
    if rows.frauds >= MIN_FRAUDS_TO_EVALUATE and rows.frauds < len(rows):
        basis = (
            f"{champion.version} on rows since the end of its training window, {champion.train_to:%Y-%m-%d}"
        )
        return rows, load_model(settings.state_dir, champion), basis
    path = evaluation_path(settings.state_dir, champion.version)
    model = load_artifact(path, champion.metrics["evaluation_artifact_sha256"])
    return read_evaluation_rows(url, champion), model, "the evaluation's model on the rows of its evaluation"


def _with_threshold(
    champion: registry.ModelRecord, model: Any, change: ThresholdChange
) -> registry.ModelRecord:
    cut = margin_cut(model, change.threshold) if returns_margin(model) else None
    text = champion.function_text().replace(f'"scoring"."{champion.version}"', '"scoring"."model"', 1)
    sql_sha256 = registry.function_sha256("model", text, change.threshold, cut)
    trained_at = datetime.now(UTC)
    version = f"{champion.version.partition('_')[0]}_{trained_at:%Y%m%d}_{sql_sha256[:8]}"
    return replace(
        champion.as_candidate(),
        version=version,
        trained_at=trained_at,
        threshold=change.threshold,
        threshold_rule=f"{change.rule}; threshold of {champion.version} changed",
        margin_cut=cut,
        metrics={**champion.metrics, **asdict(change.after)},
        sql_text=text.replace('"scoring"."model"', f'"scoring"."{version}"', 1),
        sql_sha256=sql_sha256,
    )


def _copy_artifacts(settings: Settings, source: str, target: str) -> None:
    for path_of in (artifact_path, evaluation_path):
        path = path_of(settings.state_dir, source)
        if path.exists():
            shutil.copyfile(path, path_of(settings.state_dir, target))
