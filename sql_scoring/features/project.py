"""Writes the dbt project of a feature list: the models that never change, and those that the list renders to."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from rowguard.declaration import features_file
from rowguard.resources import dbt_project
from rowguard.settings import Settings
from sql_scoring.features.listing import load_declaration
from sql_scoring.features.plan import Plan
from sql_scoring.features.render_dbt import feature_hash, render_files

_STATIC = (".sql", ".yml", ".csv")
# What dbt reads; the words of reasons and the starter sets are no part of a build.
_PARTS = ("dbt_project.yml", "profiles.yml", "macros", "models", "seeds", "tests")
_KEPT_PROJECTS = 8


@dataclass(frozen=True)
class FeatureProject:
    """A feature list and its dbt project.

    Attributes:
        file: Where it is declared.
        plan: The features.
        folder: The dbt project.
        digest: Hash of everything in the project.
    """

    file: Path
    plan: Plan
    folder: Path
    digest: str


def load_plan(settings: Settings) -> tuple[Path, Plan]:
    """Read features.yml and plan its features.

    Returns:
        The file and the plan.

    Raises:
        FeatureBuildError: An entry is wrong; names its place.
    """
    file = features_file(settings)
    return file, Plan(load_declaration(file), settings.label_delay_days)


def write_project(settings: Settings) -> FeatureProject:
    """Write the dbt project of features.yml into the state folder; it is kept for the next run.

    Args:
        settings: The file, the label delay, and the state folder.

    Returns:
        The project. What runs later reads this copy, whatever happens to the file meanwhile.

    Raises:
        FeatureBuildError: An entry of the file is wrong; names its place.
    """
    file, plan = load_plan(settings)
    files = {
        str(path.relative_to(dbt_project())): path.read_text(encoding="utf-8")
        for path in sorted(dbt_project().rglob("*"))
        if path.suffix in _STATIC and path.relative_to(dbt_project()).parts[0] in _PARTS
    }
    files |= render_files(plan)
    for name, value in (
        ("label_delay_days", settings.label_delay_days),
        ("feature_hash", f"'{feature_hash(plan)}'"),
    ):
        files["dbt_project.yml"] = files["dbt_project.yml"].replace(f"{name}: null", f"{name}: {value}")
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
    projects = settings.state_dir / "dbt" / "projects"
    folder = projects / digest[:12]
    if not folder.exists():
        _write(files, folder)
    os.utime(folder)
    for old in sorted(projects.iterdir(), key=lambda path: path.stat().st_mtime)[:-_KEPT_PROJECTS]:
        shutil.rmtree(old, ignore_errors=True)
    return FeatureProject(file, plan, folder, digest)


def _write(files: dict[str, str], folder: Path) -> None:
    """Write into another folder first: a project is whole or is not there."""
    part = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}")
    for name, text in files.items():
        path = part / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    try:
        part.rename(folder)
    except OSError:
        shutil.rmtree(part)  # another run was first
