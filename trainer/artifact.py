"""The fitted model as a file, kept for later checks against the SQL. Serving never loads it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import joblib
from sklearn.ensemble import RandomForestClassifier

from rowguard.errors import RegistryError


def artifact_path(state_dir: Path, version: str) -> Path:
    return state_dir / "artifacts" / f"{version}.joblib"


def evaluation_path(state_dir: Path, version: str) -> Path:
    """The forest that was fitted on the earlier rows only: it stands for the version where the later rows judge."""
    return state_dir / "artifacts" / f"{version}.evaluation.joblib"


def save_artifact(forest: RandomForestClassifier, path: Path) -> str:
    """Write the file whole or not at all; answers its sha256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    joblib.dump(forest, part, compress=3)
    os.replace(part, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_artifact(path: Path, sha256: str) -> RandomForestClassifier:
    """The model, after its hash was compared: unpickling runs code, so only our own file is opened.

    Raises:
        RegistryError: the file is gone, or is not the one that was registered.
    """
    if not path.exists():
        raise RegistryError(f"the artifact {path.name} is missing; train again")
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise RegistryError(f"the artifact {path.name} is not the one that was registered; train again")
    forest: RandomForestClassifier = joblib.load(path)
    return forest
