"""Back and forward along the line of champions; what was compared once is not compared again."""

from __future__ import annotations

from pathlib import Path

from rowguard.errors import RegistryError
from sql_scoring import registry
from sql_scoring.deployment import _migrations as migrations
from sql_scoring.deployment._changes import Deployment, Workbench, require_feature_function, workbench
from sql_scoring.deployment._revision import RevisionText, Standing


def roll_back(url: str, models_dir: Path, steps: int = 1) -> Deployment:
    """Back by so many champions; repeated calls keep going back.

    Raises:
        RegistryError: there are not that many before, or the one that is meant was pruned.
    """
    _require_steps(steps)
    with workbench(url, models_dir) as bench:
        line = _line(bench)
        if steps > line.position:
            before = f"there {'is one' if line.position == 1 else f'are {line.position}'} before it"
            raise RegistryError(
                f"{line.present} is the first champion; there is none before it"
                if line.position == 0
                else f"cannot go back {steps} champions from {line.present}: {before}"
            )
        text, done = _walk(bench, line, -steps)
    migrations.write_files(models_dir, text.files)
    return done


def go_forward(url: str, models_dir: Path, steps: int = 1) -> Deployment:
    """Forward again by so many champions that were rolled back.

    Raises:
        RegistryError: there are not that many after it.
    """
    _require_steps(steps)
    with workbench(url, models_dir) as bench:
        line = _line(bench)
        after = len(line.versions) - 1 - line.position
        if steps > after:
            raise RegistryError(
                f"cannot go forward {steps} champions from {line.present}: "
                f"{'none was' if after == 0 else f'{after} were'} rolled back"
            )
        text, done = _walk(bench, line, steps)
    migrations.write_files(models_dir, text.files)
    return done


def go_to(url: str, models_dir: Path, version: str) -> Deployment:
    """To a version that was champion before: back to where it decided last, or forward to it.

    Raises:
        RegistryError: it is the champion, was never one, or was pruned.
    """
    with workbench(url, models_dir) as bench:
        line = _line(bench)
        if line.present == version:
            raise RegistryError(f"{version} is the champion already")
        before = [at for at in range(line.position) if line.versions[at] == version]
        after = [at for at in range(line.position + 1, len(line.versions)) if line.versions[at] == version]
        if not before and not after:
            registry.get_model(bench.driver, version)  # says so when there is no such version at all
            raise RegistryError(f"{version} is not in the line of champions; use: rowguard deploy {version}")
        text, done = _walk(bench, line, (before[-1] if before else after[0]) - line.position)
    migrations.write_files(models_dir, text.files)
    return done


def _walk(bench: Workbench, line: registry.ChampionLine, steps: int) -> tuple[RevisionText, Deployment]:
    present = bench.standing.champion
    assert present is not None
    target = registry.get_model(bench.driver, line.versions[line.position + steps])
    if target.version == present.version:
        raise RegistryError(f"{target.version} is the champion already; go one step further")
    require_feature_function(bench.driver, target)
    if not registry.function_exists(bench.driver, target.function_name):
        raise RegistryError(
            f"the function of {target.version} was pruned; use: rowguard deploy {target.version}"
        )
    challenger = bench.standing.challenger
    if challenger is not None and challenger.version == target.version:
        challenger = None
    text = bench.apply(
        "forward" if steps > 0 else "rollback", Standing(target, challenger), target, steps=abs(steps)
    )
    return text, Deployment(
        target.version,
        present.version,
        text.revision,
        None,
        challenger.version if challenger else None,
    )


def _line(bench: Workbench) -> registry.ChampionLine:
    line = registry.champion_line(bench.driver)
    if line.present is None:
        raise RegistryError("no model was ever deployed; there is nothing to go back to")
    return line


def _require_steps(steps: int) -> None:
    if steps < 1:
        raise RegistryError(f"the number of steps is at least 1, not {steps}")
