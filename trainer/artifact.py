"""The fitted model as a file, stored for later parity checks. Serving never loads it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import joblib

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
    """Return the path of the model fitted on the earlier rows only; arguments as of `artifact_path`."""
    return state_dir / "artifacts" / f"{version}.evaluation.joblib"


def save_artifact(model: Any, path: Path) -> str:
    """Write the file atomically.

    Args:
        model: The fitted model.
        path: File of the artifact.

    Returns:
        Its sha256.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    joblib.dump(model, part, compress=3)
    os.replace(part, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_model(state_dir: Path, record: ModelRecord) -> Any:
    """Load a registered model: a forest, or a boosted model without its library.

    Args:
        state_dir: Folder of all state.
        record: The model.

    Returns:
        The fitted model.

    Raises:
        RegistryError: As of `load_artifact`.
    """
    return load_artifact(artifact_path(state_dir, record.version), record.artifact_sha256)


def load_artifact(path: Path, sha256: str) -> Any:
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
    return joblib.load(path)
