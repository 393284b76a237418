"""Deploys a registered model by a generated migration, and goes back.

Everything happens in one transaction: the function is created, compared with scikit-learn inside the database,
the facade repointed, the registry written. The files are written to the models folder after the commit; a crash
between the two loses nothing, because the registry holds them and `restore_lost_files` writes them again.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg
import sqlalchemy as sa
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from rowguard.errors import FeatureMismatchError, RegistryError
from rowguard.sql_files import read_sql
from sql_scoring import registry
from sql_scoring.deploy import _migrations as migrations
from sql_scoring.deploy._parity import Parity, check_parity
from sql_scoring.deploy._revision import (
    ROLLED_BACK,
    Position,
    RevisionText,
    deploy_revision,
    rollback_revision,
)

__all__ = [
    "ROLLED_BACK",
    "Deployment",
    "Parity",
    "check_parity",
    "deploy_champion",
    "migrate_models",
    "migrate_schema",
    "restore_lost_files",
    "roll_back",
]


@dataclass(frozen=True)
class Deployment:
    """What changed: the champion now and before, the revision, and the parity check (none on a rollback)."""

    version: str
    previous: str | None
    revision: str
    parity: Parity | None


def migrate_schema(url: str, models_dir: Path) -> None:
    """Schema to its head. Alembic must know every revision that the database has, so lost model files come back."""
    restore_lost_files(url, models_dir)
    with migrations.transaction(url) as connection:
        migrations.upgrade(connection, "schema@head", [models_dir])


def migrate_models(url: str, models_dir: Path) -> int:
    """Apply the model revisions of the folder that the database lacks; answers how many.

    Files that the database has and the folder lost are written again first.
    """
    restore_lost_files(url, models_dir)
    with migrations.transaction(url) as connection:
        _lock(connection)
        before = len(registry.applied_revisions(migrations.driver(connection)))
        migrations.upgrade(connection, "heads", [models_dir])
        return len(registry.applied_revisions(migrations.driver(connection))) - before


def restore_lost_files(url: str, models_dir: Path) -> list[str]:
    """Write revision files again that the registry has and the folder does not; answers their names."""
    restored = []
    models_dir.mkdir(parents=True, exist_ok=True)
    with migrations.transaction(url) as connection:
        driver = migrations.driver(connection)
        if not registry.exists(driver):
            return []
        for revision in registry.applied_revisions(driver):
            if any(not (models_dir / name).exists() for name in revision.files):
                migrations.write_files(models_dir, revision.files)
                restored.append(next(name for name in revision.files if name.endswith(".py")))
    return restored


def deploy_champion(
    url: str,
    models_dir: Path,
    version: str,
    model: ClassifierMixin,
    parity_rows: NDArray[np.float64],
    *,
    built_feature_hash: str,
) -> Deployment:
    """Make a registered model the champion.

    Args:
        model: the fitted model itself, only to compare the function with.
        parity_rows: shape (rows, features), NaN where missing.
        built_feature_hash: hash of the feature list that is built in this database.

    Raises:
        RegistryError: no such version, or it is the champion already.
        FeatureMismatchError: the model was trained on another feature list.
        ParityError: the function answers anything else than the model; nothing was changed.
    """
    restore_lost_files(url, models_dir)
    with migrations.transaction(url) as connection:
        _lock(connection)
        driver = migrations.driver(connection)
        record = registry.get_model(driver, version)
        champion = registry.champion_version(driver)
        if champion == version:
            raise RegistryError(f"{version} is the champion already")
        if record.feature_hash != built_feature_hash:
            raise FeatureMismatchError(
                f"{version} was trained on feature list {record.feature_hash[:8]}, "
                f"but {built_feature_hash[:8]} is built; retrain"
            )
        _require_feature_function(driver, record)
        applied = registry.applied_revisions(driver)
        deployed_before = any(revision.champion == version for revision in applied)
        text = deploy_revision(
            _position(applied),
            record,
            registry.get_model(driver, champion) if champion else None,
            create_function=not deployed_before,
        )
        _apply(connection, models_dir, applied, text)
        parity = check_parity(driver, record.function_name, model, parity_rows)
    migrations.write_files(models_dir, text.files)
    return Deployment(version, champion, text.revision, parity)


def roll_back(url: str, models_dir: Path) -> Deployment:
    """Back to the champion before the present one; repeated calls keep going back.

    Raises:
        RegistryError: there is no champion before.
    """
    restore_lost_files(url, models_dir)
    with migrations.transaction(url) as connection:
        _lock(connection)
        driver = migrations.driver(connection)
        stack = registry.champions_before(driver)
        if not stack:
            raise RegistryError("no model was ever deployed; there is nothing to go back to")
        if len(stack) == 1:
            raise RegistryError(f"{stack[0]} is the first champion; there is none before it")
        present, target = (registry.get_model(driver, version) for version in (stack[-1], stack[-2]))
        _require_feature_function(driver, target)
        applied = registry.applied_revisions(driver)
        text = rollback_revision(_position(applied), target, present)
        _apply(connection, models_dir, applied, text)
    migrations.write_files(models_dir, text.files)
    return Deployment(target.version, present.version, text.revision, None)


def _apply(
    connection: sa.Connection, models_dir: Path, applied: list[registry.AppliedRevision], text: RevisionText
) -> None:
    """Run the new revision from a scratch folder: files count only once the database has them."""
    known = {name for revision in applied for name in revision.files if name.endswith(".py")}
    migrations.refuse_unknown_files(models_dir, known)
    with tempfile.TemporaryDirectory(prefix="rowguard-revision-") as scratch:
        migrations.write_files(Path(scratch), text.files)
        migrations.upgrade(connection, text.revision, [models_dir, Path(scratch)])


def _position(applied: list[registry.AppliedRevision]) -> Position:
    last = applied[-1].revision if applied else None
    return Position(len(applied) + 1, last, migrations.schema_head())


def _lock(connection: sa.Connection) -> None:
    migrations.driver(connection).execute(read_sql(registry.QUERIES, "lock_deployments").encode())


def _require_feature_function(connection: psycopg.Connection, record: registry.ModelRecord) -> None:
    hash8 = record.feature_hash[:8]
    row = connection.execute(
        read_sql(registry.QUERIES, "feature_function").encode(), {"hash8": hash8}
    ).fetchone()
    if not (row and row[0]):
        raise FeatureMismatchError(
            f"{record.version} needs the feature function of list {hash8}, which is not built here; retrain"
        )
