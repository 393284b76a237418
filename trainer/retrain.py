"""A model's life: deploy after the gates, promote, roll back, and the nightly retrain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from rowguard.database import connect
from rowguard.errors import GateError, RegistryError
from rowguard.progress import Progress, silent
from rowguard.settings import Settings
from sql_scoring import deployment as deployments
from sql_scoring import registry
from sql_scoring.deployment import verify as verification
from sql_scoring.deployment.temporary_function import parity_rows
from sql_scoring.deployment.warm_up import renew_pooled_connections
from sql_scoring.features.build import build_features
from sql_scoring.features.dbt import FeatureBuild
from trainer.artifact import load_model
from trainer.dataset import read_feature_list
from trainer.gates import evaluate_gates
from trainer.training import TrainingResult, train

PARITY_ROWS = 10_000

Role = Literal["champion", "challenger"]


@dataclass(frozen=True)
class RetrainResult:
    """What a retrain did.

    Attributes:
        deployment: None when the champion stays.
        kept_because: Why a champion stays that the candidate could not replace; empty if it is that very model.
    """

    features: FeatureBuild
    training: TrainingResult
    champion: str
    deployment: deployments.Deployment | None = None
    kept_because: tuple[str, ...] = ()

    def as_document(self) -> dict[str, Any]:
        """Return what the command line reports."""
        return {
            **self.training.as_document(),
            "champion": self.champion,
            "kept_because": list(self.kept_because),
            "deployment": self.deployment.as_document() if self.deployment else None,
        }


def deploy(
    url: str,
    settings: Settings,
    version: str,
    *,
    role: Role = "champion",
    canary_percent: float = 0.0,
    force: bool = False,
    progress: Progress = silent,
) -> deployments.Deployment:
    """Deploy a registered model after the gates and the parity check.

    Only candidates pass the gates: a retired model or a challenger is deployed on request. A candidate that passed
    against the current champion does not pass them again.

    Args:
        url: Address of the database.
        settings: Thresholds of the gates, and the folders.
        version: A registered version.
        role: Deploy as champion or as challenger.
        canary_percent: Percent of users whom a challenger decides.
        force: Deploy despite the gates; recorded. The parity check always holds.
        progress: Called with each step.

    Returns:
        What changed.

    Raises:
        GateError: A gate rejected the candidate; nothing changed.
        ParityError: The SQL function and the artifact differ; nothing changed.
    """
    with connect(url) as connection:
        record = registry.get_model(connection, version)
        features = read_feature_list(connection)
    note = _pass_gates(url, settings, record, role, force, progress)
    progress("loading the artifact")
    forest = load_model(settings.state_dir, record)
    rows = parity_rows(url, record, forest, PARITY_ROWS)
    progress(f"comparing {len(rows):,} rows in the database and switching")
    result = deployments.deploy(
        url,
        settings.models_dir,
        version,
        forest,
        rows,
        built_feature_hash=features.hash,
        canary_percent=canary_percent if role == "challenger" else None,
        note=note,
    )
    renew_pooled_connections(settings)
    deployments.prune(url, settings.models_dir, settings.keep_versions)
    return result


def promote(
    url: str, settings: Settings, *, force: bool = False, progress: Progress = silent
) -> deployments.Deployment:
    """Make the challenger the champion.

    Args:
        url: Address of the database.
        settings: As of `deploy`.
        force: As of `deploy`.
        progress: Called with each step.

    Returns:
        What changed.

    Raises:
        RegistryError: There is no challenger.
    """
    with connect(url) as connection:
        challenger = registry.challenger_version(connection)
    if challenger is None:
        raise RegistryError("there is no challenger to promote; see: rowguard deploy VERSION --as challenger")
    return deploy(url, settings, challenger, force=force, progress=progress)


def retire_challenger(url: str, settings: Settings) -> deployments.Deployment:
    """End the challenger's shadow deployment."""
    deployment = deployments.retire_challenger(url, settings.models_dir)
    renew_pooled_connections(settings)
    return deployment


def rollback(
    url: str, settings: Settings, *, steps: int = 1, to: str | None = None
) -> deployments.Deployment:
    """Go back to an earlier champion; no client then meets a cold call through PgBouncer.

    Args:
        url: Address of the database.
        settings: Folder of the revisions, and PgBouncer's console.
        steps: Number of champions; below 0 forward again.
        to: A former champion by name, instead of `steps`.

    Returns:
        What changed.

    Raises:
        NoOtherChampionError: There are not as many.
        RegistryError: The version was pruned, or was never champion.
    """
    deployment = deployments.move_champion(url, settings.models_dir, to or -steps)
    renew_pooled_connections(settings)
    return deployment


def roll_forward(url: str, settings: Settings, *, steps: int = 1) -> deployments.Deployment:
    """Go forward again by `steps` champions that were rolled back; see `rollback`."""
    return rollback(url, settings, steps=-steps)


def verify(url: str, settings: Settings) -> verification.VerifyReport:
    """Check the deployed models against the artifacts of the state folder; see `sql_scoring.deployment.verify`."""
    return verification.verify(url, lambda record: load_model(settings.state_dir, record))


def retrain(
    url: str,
    settings: Settings,
    *,
    start: datetime | None = None,
    cutoff: datetime | None = None,
    progress: Progress = silent,
) -> RetrainResult:
    """Build features, train, pass the gates, deploy: the nightly run.

    Args:
        url: Address of the database.
        settings: Thresholds of the gates, and the folders.
        start: First event time of the training window.
        cutoff: Label cutoff.
        progress: Called with each step.

    Returns:
        What each step did. A candidate that a gate rejects leaves the champion as it is, which is a normal outcome.

    Raises:
        GateError: A gate rejected the candidate, and there is no champion to keep.
    """
    progress("building features")
    features = build_features(url, settings, progress=progress)
    training = train(url, settings, start=start, cutoff=cutoff, progress=progress)
    with connect(url) as connection:
        champion = registry.champion_version(connection)
    if champion == training.version:
        return RetrainResult(features, training, champion)
    # Here also of a retired model, which deploy() takes unasked: a rollback must not be undone by the nightly run.
    progress("evaluating the gates")
    report = evaluate_gates(url, settings, training.version)
    if report.passed:
        deployment = deploy(url, settings, training.version, progress=progress)
        return RetrainResult(features, training, deployment.version, deployment)
    if champion is None:
        raise GateError(f"{training.version} was rejected, nothing changed: {'; '.join(report.reasons)}")
    return RetrainResult(features, training, champion, kept_because=tuple(report.reasons))


def _pass_gates(
    url: str, settings: Settings, record: registry.ModelRecord, role: Role, force: bool, progress: Progress
) -> str:
    """Return a note for the deployment's reason, or raise GateError."""
    if record.state not in ("candidate", "rejected"):
        return ""
    with connect(url) as connection:
        champion = registry.champion_version(connection)
        last = registry.last_gate_report(connection, record.version)
    if (
        last is not None
        and last["is_passed"]
        and last["champion"] == champion
        and last["details"].get("as") == role
    ):
        return ""
    progress("evaluating the gates")
    report = evaluate_gates(url, settings, record.version, as_challenger=role == "challenger")
    if report.passed:
        return ""
    reasons = "; ".join(report.reasons)
    if not force:
        raise GateError(f"{record.version} was rejected, nothing changed: {reasons} (--force overrules)")
    with connect(url) as connection:
        registry.insert_gate_report(connection, report.as_row(is_forced=True))
    return f"by force, against: {reasons}"
