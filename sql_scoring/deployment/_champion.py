"""A new champion, a challenger, and the challenger's retirement: each one revision in one transaction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowguard.errors import FeatureMismatchError, RegistryError
from sql_scoring import registry
from sql_scoring.deployment._facade import DeploymentState
from sql_scoring.deployment._parity import check_parity
from sql_scoring.deployment.session import Deployment, deployment_session, require_feature_function
from sql_scoring.explain.additivity import check_additivity


def deploy(
    url: str,
    models_dir: Path,
    version: str,
    model: Any,
    parity_rows: NDArray[np.float64],
    *,
    built_feature_hash: str,
    canary_percent: float | None = None,
    note: str = "",
) -> Deployment:
    """Make a registered model the champion, or start its shadow deployment as the challenger.

    A challenger's score is stored on every row, and it decides its canary of users; deployed again, it changes the
    canary, or as champion it is promoted.

    Args:
        url: Address of the database, for a direct connection.
        models_dir: Folder of the generated revisions.
        version: The registered version.
        model: The fitted model itself, which its function is compared with.
        parity_rows: Shape (rows, features), NaN where missing.
        built_feature_hash: Hash of the feature list that is built in this database.
        canary_percent: Makes it the challenger, which decides for this percentage of users, 0 to 100.
        note: Added to the reason in the registry.

    Returns:
        Champion and challenger afterwards, and the parity check.

    Raises:
        RegistryError: No such version, it is that already, or there is no champion to challenge.
        FeatureMismatchError: The model was trained on another feature list.
        ParityError: The function and the model differ; nothing was changed.
        ExplanationError: Base and contributions do not add up to the probability; nothing was changed.
    """
    with deployment_session(url, models_dir) as session:
        record = registry.get_model(session.driver, version)
        champion, challenger = session.state.champion, session.state.challenger
        if record.feature_hash != built_feature_hash:
            raise FeatureMismatchError(
                f"{version} was trained on feature list {record.feature_hash[:8]}, "
                f"but {built_feature_hash[:8]} is built; retrain"
            )
        require_feature_function(session.driver, record)
        if canary_percent is not None:
            record = replace(record, canary_percent=float(canary_percent))
            _check_challenger(session.state, record)
            kind, after = "deploy_challenger", DeploymentState(champion, record)
        elif champion and champion.version == version:
            raise RegistryError(f"{version} is the champion already")
        elif challenger and challenger.version == version:
            kind, after = "promote", DeploymentState(record)
        else:
            kind, after = "deploy", DeploymentState(record, challenger)
        deployment = session.apply(kind, after, record, note=note)
        parity = check_parity(session.driver, record, model, parity_rows)
        if record.explanation:
            check_additivity(session.driver, record, parity_rows)
    return replace(deployment, parity=parity)


def _check_challenger(state: DeploymentState, record: registry.ModelRecord) -> None:
    version, percent = record.version, record.canary_percent or 0.0
    if not 0 <= percent <= 100:
        raise RegistryError(f"the canary is a percentage of users, 0 to 100, not {percent:g}")
    if state.champion is None:
        raise RegistryError("there is no champion to challenge; deploy the first model as champion")
    if state.champion.version == version:
        raise RegistryError(f"{version} is the champion; it cannot challenge itself")
    if state.challenger and (state.challenger.version, state.challenger.canary_percent) == (version, percent):
        raise RegistryError(f"{version} is the challenger already, with a canary of {percent:g} %")


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
