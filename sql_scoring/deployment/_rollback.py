"""Back and forward along the history of champions; a function that was compared once is not compared again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg

from rowguard.errors import RegistryError
from sql_scoring import registry
from sql_scoring.deployment._facade import DeploymentState
from sql_scoring.deployment._revision import GeneratedRevision
from sql_scoring.deployment.revision_files import write_files
from sql_scoring.deployment.session import (
    Deployment,
    DeploymentSession,
    deployment_session,
    require_feature_function,
)


def roll_back(url: str, models_dir: Path, steps: int = 1) -> Deployment:
    """Make a previous champion the champion again; repeated calls keep going back.

    Args:
        url: Address of the database, for a direct connection.
        models_dir: Folder of the generated revisions.
        steps: How many champions to go back.

    Raises:
        RegistryError: There are not that many before, or the target was pruned.
    """
    return _move(url, models_dir, lambda _, history: _require_rollback(history, steps))


def roll_forward_champion(url: str, models_dir: Path, steps: int = 1) -> Deployment:
    """Make a champion that was rolled back the champion again.

    Args:
        url: Address of the database, for a direct connection.
        models_dir: Folder of the generated revisions.
        steps: How many champions to go forward.

    Raises:
        RegistryError: There are not that many after it.
    """
    return _move(url, models_dir, lambda _, history: _require_roll_forward(history, steps))


def roll_to_version(url: str, models_dir: Path, version: str) -> Deployment:
    """Make a former champion the champion again: back to its last time, or forward to it.

    Raises:
        RegistryError: It is the champion, was never one, or was pruned.
    """
    return _move(url, models_dir, lambda driver, history: _find_version(driver, history, version))


def _require_rollback(history: registry.ChampionHistory, steps: int) -> int:
    _require_steps(steps)
    if history.position == 0:
        raise RegistryError(f"{history.current} is the first champion; there is none before it")
    if steps > history.position:
        before = f"there {'is one' if history.position == 1 else f'are {history.position}'} before it"
        raise RegistryError(f"cannot go back {steps} champions from {history.current}: {before}")
    return -steps


def _require_roll_forward(history: registry.ChampionHistory, steps: int) -> int:
    _require_steps(steps)
    after = len(history.versions) - 1 - history.position
    if steps > after:
        raise RegistryError(
            f"cannot go forward {steps} champions from {history.current}: "
            f"{'none was' if after == 0 else f'{after} were'} rolled back"
        )
    return steps


def _find_version(driver: psycopg.Connection, history: registry.ChampionHistory, version: str) -> int:
    if history.current == version:
        raise RegistryError(f"{version} is the champion already")
    positions = [index for index, name in enumerate(history.versions) if name == version]
    if not positions:
        registry.get_model(driver, version)  # raises when there is no such version at all
        raise RegistryError(f"{version} is not in the history of champions; use: rowguard deploy {version}")
    before = [index for index in positions if index < history.position]
    return (before[-1] if before else positions[0]) - history.position


def _move(
    url: str, models_dir: Path, choose: Callable[[psycopg.Connection, registry.ChampionHistory], int]
) -> Deployment:
    """Move along the history by as many champions as `choose` returns."""
    with deployment_session(url, models_dir) as session:
        history = registry.champion_history(session.driver)
        if history.current is None:
            raise RegistryError("no model was ever deployed; there is nothing to go back to")
        revision, deployment = _apply(session, history, choose(session.driver, history))
    write_files(models_dir, revision.files)
    return deployment


def _apply(
    session: DeploymentSession, history: registry.ChampionHistory, steps: int
) -> tuple[GeneratedRevision, Deployment]:
    champion, challenger = session.state.champion, session.state.challenger
    assert champion is not None
    target = registry.get_model(session.driver, history.versions[history.position + steps])
    if target.version == champion.version:
        raise RegistryError(f"{target.version} is the champion already; go one step further")
    require_feature_function(session.driver, target)
    if not registry.function_exists(session.driver, target.function_name):
        raise RegistryError(
            f"the function of {target.version} was pruned; use: rowguard deploy {target.version}"
        )
    if challenger is not None and challenger.version == target.version:
        challenger = None
    kind = "roll_forward" if steps > 0 else "rollback"
    revision = session.apply(kind, DeploymentState(target, challenger), target, steps=abs(steps))
    return revision, Deployment(
        target.version,
        champion.version,
        revision.revision,
        None,
        challenger.version if challenger else None,
    )


def _require_steps(steps: int) -> None:
    if steps < 1:
        raise RegistryError(f"the number of steps is at least 1, not {steps}")
