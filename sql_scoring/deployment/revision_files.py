"""The files of generated revisions in the models folder; the registry has a copy of each."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rowguard.errors import RegistryError
from sql_scoring import registry
from sql_scoring.deployment import migrations


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write a revision's files atomically, its `.py`, which makes it count, last.

    Args:
        folder: The models folder.
        files: Text by relative path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as scratch:
        for name, text in files.items():
            path = Path(scratch, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for entry in sorted(Path(scratch).iterdir(), key=lambda path: path.suffix == ".py"):
            target = folder / entry.name
            if target.is_dir():
                shutil.rmtree(target)
            os.replace(entry, target)


def restore_missing_files(url: str, models_dir: Path) -> list[str]:
    """Write the revision files that the registry has and the folder lacks.

    Returns:
        Names of the restored revisions' `.py` files.
    """
    restored = []
    models_dir.mkdir(parents=True, exist_ok=True)
    with migrations.transaction(url) as connection:
        driver = migrations.driver(connection)
        if not registry.has_schema(driver):
            return []
        for revision in registry.applied_revisions(driver):
            if any(not (models_dir / name).exists() for name in revision.files):
                write_files(models_dir, revision.files)
                restored.append(next(name for name in revision.files if name.endswith(".py")))
    return restored


def reject_unapplied_files(folder: Path, applied: set[str]) -> None:
    """Require that every revision in the folder is applied before another goes on top.

    Raises:
        RegistryError: Names a file that the database does not have.
    """
    for path in sorted(folder.glob("*.py")):
        if path.name not in applied:
            raise RegistryError(
                f"{path.name} is not applied to this database; run: rowguard migrate (or remove the file, "
                "if it belongs to another database)"
            )
