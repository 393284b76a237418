"""The steps of a model's life, each a function that the command line and the DAG share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from rowguard.database import connect
from rowguard.errors import GateError, RegistryError
from rowguard.queries import load_queries
from rowguard.settings import Settings
from sql_scoring import deployment as deployments
from sql_scoring import registry
from sql_scoring.deployment.temporary_function import parity_rows
from sql_scoring.deployment.warm_up import renew_pooled_connections
from sql_scoring.features.build import FeatureBuild, build_features
from trainer.artifact import artifact_path, load_artifact
from trainer.dataset import read_feature_list
from trainer.evaluation import AlertBudget, ThresholdRule
from trainer.gates import gate
from trainer.training import TrainingResult
from trainer.training import train as train_model

PARITY_ROWS = 10_000
QUERIES = load_queries("trainer")

Progress = Callable[[str], None]
Role = Literal["champion", "challenger"]


def _silent(step: str) -> None:
    """No progress wanted."""


@dataclass(frozen=True)
class Migration:
    """What `migrate` did: the dbt run and how many model revisions were applied; in lines, what is left to do."""

    features: FeatureBuild
    model_revisions: int
    notes: tuple[str, ...] = ()


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
        connection.execute(QUERIES["keep_policy"])
    progress("features")
    built = build_features(url, settings, progress=progress)
    progress("models")
    applied = deployments.migrate_models(url, settings.models_dir)
    return Migration(built, applied, deployments.bind_anew(url))


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
    url: str,
    settings: Settings,
    version: str,
    *,
    role: Role = "champion",
    canary_percent: float = 0.0,
    force: bool = False,
    progress: Progress = _silent,
) -> deployments.Deployment:
    """Make a registered model the champion, or try it as challenger, after the gates and after its function was
    compared with the artifact bit for bit.

    Candidates pass the gates first, unless they passed against the present champion already. A model that was
    deployed before comes back by somebody's wish, and a challenger is promoted by somebody's: neither is judged.
    `force` overrules the gates, and is recorded; nothing overrules the bit-for-bit comparison.

    Raises:
        GateError: a gate refused it; nothing was changed.
    """
    with connect(url) as connection:
        record = registry.get_model(connection, version)
        features = read_feature_list(connection)
    note = _pass_gates(url, settings, record, role, force, progress)
    progress("loading the artifact")
    forest = load_artifact(artifact_path(settings.state_dir, version), record.artifact_sha256)
    rows = parity_rows(url, record, forest, PARITY_ROWS)
    progress(f"comparing {len(rows):,} rows in the database and switching")
    if role == "challenger":
        done = deployments.deploy_challenger(
            url,
            settings.models_dir,
            version,
            forest,
            rows,
            built_feature_hash=features.hash,
            canary_percent=canary_percent,
            note=note,
        )
    else:
        done = deployments.deploy_champion(
            url, settings.models_dir, version, forest, rows, built_feature_hash=features.hash, note=note
        )
    renew_pooled_connections(settings)
    deployments.prune(url, settings.models_dir, settings.keep_versions)
    return done


def promote(
    url: str, settings: Settings, *, force: bool = False, progress: Progress = _silent
) -> deployments.Deployment:
    """The challenger becomes the champion.

    Raises:
        RegistryError: there is no challenger.
    """
    with connect(url) as connection:
        challenger = registry.challenger_version(connection)
    if challenger is None:
        raise RegistryError("there is no challenger to promote; see: rowguard deploy VERSION --as challenger")
    return deploy(url, settings, challenger, force=force, progress=progress)


def withdraw(url: str, settings: Settings) -> deployments.Deployment:
    """End the challenger's trial."""
    return _renewed(settings, deployments.withdraw_challenger(url, settings.models_dir))


def rollback(
    url: str, settings: Settings, *, steps: int = 1, to: str | None = None
) -> deployments.Deployment:
    """Back by so many champions, or to a named one (which may lie ahead, if it was rolled back)."""
    if to is not None:
        return _renewed(settings, deployments.go_to(url, settings.models_dir, to))
    return _renewed(settings, deployments.roll_back(url, settings.models_dir, steps))


def forward(url: str, settings: Settings, *, steps: int = 1) -> deployments.Deployment:
    """Forward again by so many champions that were rolled back."""
    return _renewed(settings, deployments.go_forward(url, settings.models_dir, steps))


def _renewed(settings: Settings, done: deployments.Deployment) -> deployments.Deployment:
    """No client pays for the first call of what decides now."""
    renew_pooled_connections(settings)
    return done


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
    features = build_features(url, settings, progress=progress)
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


def _pass_gates(
    url: str,
    settings: Settings,
    record: registry.ModelRecord,
    role: Role,
    force: bool,
    progress: Progress,
) -> str:
    """Raises GateError, or answers what to keep beside the deploy's reason."""
    if record.state not in ("candidate", "refused"):
        return ""
    with connect(url) as connection:
        champion = registry.champion_version(connection)
        last = registry.last_gate_report(connection, record.version)
    judged = last is not None and last["champion"] == champion and last["figures"].get("as") == role
    if not (judged and last is not None and last["is_passed"]):
        progress("judging the candidate")
        report = gate(url, settings, record.version, as_challenger=role == "challenger")
        reasons, figures, passed = report.reasons, report.figures, report.passed
        if not passed and not force:
            raise GateError(
                f"{record.version} was refused, nothing was changed: {'; '.join(reasons)} (--force overrules)"
            )
        if not passed:
            with connect(url) as connection:
                registry.insert_gate_report(
                    connection,
                    {
                        "version": record.version,
                        "champion": champion,
                        "is_passed": False,
                        "is_forced": True,
                        "reasons": reasons,
                        "figures": figures,
                    },
                )
            return f"by force, against: {'; '.join(reasons)}"
    return ""
