"""The steps of a model's life, each a function that the command line and the DAG share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from rowguard.database import connect
from rowguard.errors import GateError
from rowguard.feature_build import FeatureBuild, build_features
from rowguard.pipeline._gates import gate
from rowguard.settings import Settings
from rowguard.sql_files import read_sql
from sql_scoring import deploy as deployments
from sql_scoring import registry
from sql_scoring.transpile import boundary_rows
from trainer.artifact import artifact_path, load_artifact
from trainer.dataset import read_feature_list
from trainer.evaluation import AlertBudget, ThresholdRule
from trainer.training import TrainingResult, sample_rows
from trainer.training import train as train_model

PARITY_ROWS = 10_000
SQL = Path(__file__).parent / "sql"

Progress = Callable[[str], None]


def _silent(step: str) -> None:
    """No progress wanted."""


@dataclass(frozen=True)
class Migration:
    """What `migrate` did: the dbt run and how many model revisions were applied."""

    features: FeatureBuild
    model_revisions: int


@dataclass(frozen=True)
class Retraining:
    """What a retrain did; `deployment` is None when the champion is that very model already."""

    features: FeatureBuild
    training: TrainingResult
    deployment: deployments.Deployment | None


def migrate(url: str, settings: Settings, *, progress: Progress = _silent) -> Migration:
    """Schema to head, features built, deployed models restored; safe to repeat."""
    progress("schema")
    deployments.migrate_schema(url, settings.models_dir)
    with connect(url) as connection:  # a revision may have replaced the function that the lock time stands on
        connection.execute(read_sql(SQL, "keep_policy").encode())
    progress("features")
    built = build_features(url, settings)
    progress("models")
    return Migration(built, deployments.migrate_models(url, settings.models_dir))


def train(
    url: str,
    settings: Settings,
    *,
    start: datetime | None = None,
    cutoff: datetime | None = None,
    rule: ThresholdRule | None = None,
    progress: Progress = _silent,
) -> TrainingResult:
    """Fit, evaluate and register a candidate."""
    return train_model(
        url,
        state_dir=settings.state_dir,
        label_delay=timedelta(days=settings.label_delay_days),
        rule=rule or AlertBudget(settings.alert_budget),
        start=start,
        cutoff=cutoff,
        progress=progress,
    )


def deploy(
    url: str, settings: Settings, version: str, *, progress: Progress = _silent
) -> deployments.Deployment:
    """Make a registered model the champion, after the function was compared with the artifact bit for bit:
    half of the rows are the model's own training rows, half lie on and around its thresholds."""
    with connect(url) as connection:
        record = registry.get_model(connection, version)
        features = read_feature_list(connection)
    progress("loading the artifact")
    forest = load_artifact(artifact_path(settings.state_dir, version), record.artifact_sha256)
    rows = np.concatenate(
        [
            sample_rows(url, record, PARITY_ROWS // 2),
            boundary_rows(forest, PARITY_ROWS // 2, seed=0),
        ]
    )
    progress(f"comparing {len(rows):,} rows in the database and switching")
    return deployments.deploy_champion(
        url, settings.models_dir, version, forest, rows, built_feature_hash=features.hash
    )


def rollback(url: str, settings: Settings) -> deployments.Deployment:
    """Back to the champion before."""
    return deployments.roll_back(url, settings.models_dir)


def retrain(
    url: str,
    settings: Settings,
    *,
    start: datetime | None = None,
    cutoff: datetime | None = None,
    progress: Progress = _silent,
) -> Retraining:
    """Features, train, gate, deploy: what the nightly DAG does.

    Raises:
        GateError: the candidate was refused; the champion stays.
    """
    progress("building features")
    features = build_features(url, settings)
    training = train(url, settings, start=start, cutoff=cutoff, progress=progress)
    with connect(url) as connection:
        champion = registry.champion_version(connection)
    if champion == training.version:
        return Retraining(features, training, None)
    progress("judging the candidate")
    report = gate(url, settings, training.version)
    if not report.passed:
        raise GateError(f"{training.version} was refused, the champion stays: {'; '.join(report.reasons)}")
    return Retraining(features, training, deploy(url, settings, training.version, progress=progress))
