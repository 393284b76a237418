"""Back and forward along the history of champions; a function that was compared once is not compared again."""

from __future__ import annotations

from pathlib import Path

import psycopg

from rowguard.errors import NoOtherChampionError, RegistryError
from sql_scoring import registry
from sql_scoring.deployment._facade import DeploymentState
from sql_scoring.deployment.session import Deployment, deployment_session, require_feature_function


def move_champion(url: str, models_dir: Path, to: int | str) -> Deployment:
    """Make another champion of the history the champion again; repeated calls keep going.

    Args:
        url: Address of the database, for a direct connection.
        models_dir: Folder of the generated revisions.
        to: How many champions to go, back where negative; or a version: back to its last time, or forward to it.

    Raises:
        RegistryError: There are not that many, or the target is the champion, was never one, or was pruned.
    """
    with deployment_session(url, models_dir) as session:
        history = registry.champion_history(session.driver)
        champion, challenger = session.state.champion, session.state.challenger
        if champion is None:
            raise RegistryError("no model was ever deployed; there is nothing to go back to")
        steps = _steps_to(session.driver, history, to) if isinstance(to, str) else _checked(history, to)
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
        return session.apply(kind, DeploymentState(target, challenger), target, steps=abs(steps))


def _checked(history: registry.ChampionHistory, steps: int) -> int:
    """The steps, if the history has as many champions in that direction."""
    before, after = history.position, len(history.versions) - 1 - history.position
    if steps < 0 and before == 0:
        raise NoOtherChampionError(
            f"{history.current} is the first champion; there is none before it", history.current
        )
    if -steps > before:
        known = f"there {'is one' if before == 1 else f'are {before}'} before it"
        raise NoOtherChampionError(
            f"cannot go back {-steps} champions from {history.current}: {known}", history.current
        )
    if steps > after:
        known = f"{'none was' if after == 0 else f'{after} were'} rolled back"
        raise NoOtherChampionError(
            f"cannot go forward {steps} champions from {history.current}: {known}", history.current
        )
    return steps


def _steps_to(driver: psycopg.Connection, history: registry.ChampionHistory, version: str) -> int:
    if history.current == version:
        raise RegistryError(f"{version} is the champion already")
    positions = [index for index, name in enumerate(history.versions) if name == version]
    if not positions:
        registry.get_model(driver, version)  # raises when there is no such version at all
        raise RegistryError(f"{version} is not in the history of champions; use: rowguard deploy {version}")
    before = [index for index in positions if index < history.position]
    return (before[-1] if before else positions[0]) - history.position
