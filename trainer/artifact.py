"""The fitted model as a file, stored for later parity checks. Serving never loads it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import joblib
from sklearn.ensemble import RandomForestClassifier

from rowguard.errors import RegistryError
from sql_scoring.registry import ModelRecord


def artifact_path(state_dir: Path, version: str) -> Path:
    """Return the path of a version's artifact.

    Args:
        state_dir: Folder of all state.
        version: A registered version.
    """
    return state_dir / "artifacts" / f"{version}.joblib"


def evaluation_path(state_dir: Path, version: str) -> Path:
    """Return the path of the forest fitted on the earlier rows only; arguments as of `artifact_path`."""
    return state_dir / "artifacts" / f"{version}.evaluation.joblib"


def save_artifact(forest: RandomForestClassifier, path: Path) -> str:
    """Write the file atomically.

    Args:
        forest: The fitted forest.
        path: File of the artifact.

    Returns:
        Its sha256.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    joblib.dump(forest, part, compress=3)
    os.replace(part, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_forest(state_dir: Path, record: ModelRecord) -> RandomForestClassifier:
    """Load a registered model's forest.

    Args:
        state_dir: Folder of all state.
        record: The model.

    Returns:
        The fitted model.

    Raises:
        RegistryError: As of `load_artifact`.
    """
    return load_artifact(artifact_path(state_dir, record.version), record.artifact_sha256)


def load_artifact(path: Path, sha256: str) -> RandomForestClassifier:
    """Load an artifact after comparing its hash, because unpickling runs code.

    Args:
        path: File of the artifact.
        sha256: The registered hash.

    Returns:
        The fitted model.

    Raises:
        RegistryError: The file is missing or is not the registered one.
    """
    if not path.exists():
        raise RegistryError(f"the artifact {path.name} is missing; train again")
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise RegistryError(f"the artifact {path.name} is not the registered one; train again")
    forest: RandomForestClassifier = joblib.load(path)
    return forest
