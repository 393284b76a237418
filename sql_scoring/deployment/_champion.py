"""A new champion, a challenger, and the challenger's retirement: each one revision in one transaction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from rowguard.errors import FeatureMismatchError, RegistryError
from sql_scoring import registry
from sql_scoring.deployment._facade import DeploymentState
from sql_scoring.deployment._parity import check_parity
from sql_scoring.deployment.session import Deployment, deployment_session, require_feature_function


def deploy_champion(
    url: str,
    models_dir: Path,
    version: str,
    model: ClassifierMixin,
    parity_rows: NDArray[np.float64],
    *,
    built_feature_hash: str,
    note: str = "",
) -> Deployment:
    """Make a registered model the champion; the challenger is promoted by this.

    Args:
        url: Address of the database, for a direct connection.
        models_dir: Folder of the generated revisions.
        version: The registered version.
        model: The fitted model itself, which its function is compared with.
        parity_rows: Shape (rows, features), NaN where missing.
        built_feature_hash: Hash of the feature list that is built in this database.
        note: Added to the reason in the registry.

    Returns:
        Champion and challenger afterwards, and the parity check.

    Raises:
        RegistryError: No such version, or it is the champion already.
        FeatureMismatchError: The model was trained on another feature list.
        ParityError: The function and the model differ; nothing was changed.
    """
    with deployment_session(url, models_dir) as session:
        record = registry.get_model(session.driver, version)
        champion, challenger = session.state.champion, session.state.challenger
        if champion and champion.version == version:
            raise RegistryError(f"{version} is the champion already")
        _require_features(session.driver, record, built_feature_hash)
        is_promoted = challenger is not None and challenger.version == version
        after = DeploymentState(record, None if is_promoted else challenger)
        deployment = session.apply("promote" if is_promoted else "deploy", after, record, note=note)
        parity = check_parity(session.driver, record.function_name, model, parity_rows)
    return replace(deployment, parity=parity)


def deploy_challenger(
    url: str,
    models_dir: Path,
    version: str,
    model: ClassifierMixin,
    parity_rows: NDArray[np.float64],
    *,
    built_feature_hash: str,
    canary_percent: float = 0.0,
    note: str = "",
) -> Deployment:
    """Start a shadow deployment: the model's score is stored on every row, and it decides its canary of users.

    Called again for the challenger, it changes the canary.

    Args:
        canary_percent: Percentage of users whose transactions it decides, 0 to 100.

    The other arguments, the result and the errors are those of `deploy_champion`.

    Raises:
        RegistryError: Also when there is no champion to compare with.
    """
    if not 0 <= canary_percent <= 100:
        raise RegistryError(f"the canary is a percentage of users, 0 to 100, not {canary_percent:g}")
    with deployment_session(url, models_dir) as session:
        record = registry.get_model(session.driver, version)
        champion, present = session.state.champion, session.state.challenger
        if champion is None:
            raise RegistryError("there is no champion to challenge; deploy the first model as champion")
        if champion.version == version:
            raise RegistryError(f"{version} is the champion; it cannot challenge itself")
        if present and (present.version, present.canary_percent) == (version, canary_percent):
            raise RegistryError(f"{version} is the challenger already, with a canary of {canary_percent:g} %")
        _require_features(session.driver, record, built_feature_hash)
        challenger = replace(record, canary_percent=float(canary_percent))
        after = DeploymentState(champion, challenger)
        deployment = session.apply("deploy_challenger", after, challenger, note=note)
        parity = check_parity(session.driver, record.function_name, model, parity_rows)
    return replace(deployment, parity=parity)


def retire_challenger(url: str, models_dir: Path) -> Deployment:
    """End the shadow deployment; the champion decides for every user, and stored shadow scores are kept.

    Raises:
        RegistryError: There is no challenger.
    """
    with deployment_session(url, models_dir) as session:
        champion, challenger = session.state.champion, session.state.challenger
        if champion is None or challenger is None:
            raise RegistryError("there is no challenger")
        return session.apply("retire_challenger", DeploymentState(champion), challenger)


def _require_features(
    connection: psycopg.Connection, record: registry.ModelRecord, built_feature_hash: str
) -> None:
    if record.feature_hash != built_feature_hash:
        raise FeatureMismatchError(
            f"{record.version} was trained on feature list {record.feature_hash[:8]}, "
            f"but {built_feature_hash[:8]} is built; retrain"
        )
    require_feature_function(connection, record)
