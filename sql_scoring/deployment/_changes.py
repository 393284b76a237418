"""A new champion, a challenger, and the challenger's withdrawal: each one revision in one transaction."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psycopg
import sqlalchemy as sa
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from rowguard.errors import FeatureMismatchError, RegistryError
from rowguard.queries import load_queries
from sql_scoring import registry
from sql_scoring.deployment import _migrations as migrations
from sql_scoring.deployment._files import restore_lost_files
from sql_scoring.deployment._parity import Parity, check_parity
from sql_scoring.deployment._revision import Position, RevisionText, Standing, revision_text

QUERIES = load_queries("sql_scoring")


@dataclass(frozen=True)
class Deployment:
    """What changed: champion and challenger now, the champion before, the revision, and the parity check (none
    where no function was switched on that was not compared before)."""

    version: str
    previous: str | None
    revision: str
    parity: Parity | None
    challenger: str | None = None
    canary_percent: float | None = None


@dataclass(frozen=True)
class Workbench:
    """An open transaction that holds the deployment lock, and what it found."""

    connection: sa.Connection
    driver: psycopg.Connection
    models_dir: Path
    applied: list[registry.AppliedRevision]
    standing: Standing

    def apply(
        self,
        kind: str,
        after: Standing,
        subject: registry.ModelRecord,
        *,
        creates_function: bool = False,
        steps: int = 1,
        note: str = "",
    ) -> RevisionText:
        """Write the revision and run it, here and now."""
        last = self.applied[-1].revision if self.applied else None
        text = revision_text(
            Position(len(self.applied) + 1, last, migrations.schema_head()),
            kind,
            self.standing,
            after,
            subject=subject,
            creates_function=creates_function,
            insert_features=frozenset(
                model.feature_hash
                for model in after.versions().values()
                if _has_feature_function(self.driver, "insert_feature_values", model.feature_hash)
            ),
            steps=steps,
            note=note,
        )
        # From a scratch folder: files count only once the database has them.
        known = {name for revision in self.applied for name in revision.files if name.endswith(".py")}
        migrations.refuse_unknown_files(self.models_dir, known)
        with tempfile.TemporaryDirectory(prefix="rowguard-revision-") as scratch:
            migrations.write_files(Path(scratch), text.files)
            migrations.upgrade(self.connection, text.revision, [self.models_dir, Path(scratch)])
        return text


@contextmanager
def workbench(url: str, models_dir: Path) -> Iterator[Workbench]:
    """One change at a time: a second one waits here until the first has committed."""
    restore_lost_files(url, models_dir)
    with migrations.transaction(url) as connection:
        migrations.lock(connection)
        # What another change committed while this one waited.
        restore_lost_files(url, models_dir)
        driver = migrations.driver(connection)
        champion, challenger = registry.champion_version(driver), registry.challenger_version(driver)
        yield Workbench(
            connection,
            driver,
            models_dir,
            registry.applied_revisions(driver),
            Standing(
                registry.get_model(driver, champion) if champion else None,
                registry.get_model(driver, challenger) if challenger else None,
            ),
        )


def deploy_champion(
    url: str,
    models_dir: Path,
    version: str,
    model: ClassifierMixin,
    parity_rows: NDArray[np.float64],
    *,
    built_feature_hash: str,
    note: str = "",
) -> Deployment:
    """Make a registered model the champion; the challenger is promoted by this.

    Args:
        model: the fitted model itself, only to compare the function with.
        parity_rows: shape (rows, features), NaN where missing.
        built_feature_hash: hash of the feature list that is built in this database.
        note: kept in the registry beside the reason of the change.

    Raises:
        RegistryError: no such version, or it is the champion already.
        FeatureMismatchError: the model was trained on another feature list.
        ParityError: the function answers anything else than the model; nothing was changed.
    """
    with workbench(url, models_dir) as bench:
        record = registry.get_model(bench.driver, version)
        before = bench.standing
        if before.champion and before.champion.version == version:
            raise RegistryError(f"{version} is the champion already")
        _require_features(bench.driver, record, built_feature_hash)
        is_promoted = before.challenger is not None and before.challenger.version == version
        after = Standing(record, None if is_promoted else before.challenger)
        text = bench.apply(
            "promote" if is_promoted else "deploy",
            after,
            record,
            creates_function=not registry.function_exists(bench.driver, record.function_name),
            note=note,
        )
        parity = check_parity(bench.driver, record.function_name, model, parity_rows)
    migrations.write_files(models_dir, text.files)
    return Deployment(
        version,
        before.champion.version if before.champion else None,
        text.revision,
        parity,
        after.challenger.version if after.challenger else None,
    )


def deploy_challenger(
    url: str,
    models_dir: Path,
    version: str,
    model: ClassifierMixin,
    parity_rows: NDArray[np.float64],
    *,
    built_feature_hash: str,
    canary_percent: float = 0.0,
    note: str = "",
) -> Deployment:
    """Try a registered model beside the champion: its score is stored on every row, and it decides for
    `canary_percent` of the users. Called again for the challenger, it changes the canary, or binds anew what an
    earlier release deployed.

    Raises: as `deploy_champion`; also when there is no champion to challenge.
    """
    if not 0 <= canary_percent <= 100:
        raise RegistryError(f"the canary is a share of users in percent, 0 to 100, not {canary_percent:g}")
    with workbench(url, models_dir) as bench:
        record = registry.get_model(bench.driver, version)
        before = bench.standing
        if before.champion is None:
            raise RegistryError("there is no champion to challenge; deploy the first model as champion")
        if before.champion.version == version:
            raise RegistryError(f"{version} is the champion; it cannot challenge itself")
        if (
            before.challenger
            and before.challenger.version == version
            and before.challenger.canary_percent == canary_percent
            and registry.outdated_challenger(bench.driver) is None
        ):
            raise RegistryError(f"{version} is the challenger already, with a canary of {canary_percent:g} %")
        _require_features(bench.driver, record, built_feature_hash)
        challenger = replace(record, canary_percent=float(canary_percent))
        text = bench.apply(
            "challenge",
            Standing(before.champion, challenger),
            challenger,
            creates_function=not registry.function_exists(bench.driver, record.function_name),
            note=note,
        )
        parity = check_parity(bench.driver, record.function_name, model, parity_rows)
    migrations.write_files(models_dir, text.files)
    return Deployment(
        before.champion.version,
        before.champion.version,
        text.revision,
        parity,
        version,
        float(canary_percent),
    )


def withdraw_challenger(url: str, models_dir: Path) -> Deployment:
    """End the trial; the champion decides for everybody, and what the challenger said stays on the rows.

    Raises:
        RegistryError: there is no challenger.
    """
    with workbench(url, models_dir) as bench:
        champion, challenger = bench.standing.champion, bench.standing.challenger
        if champion is None or challenger is None:
            raise RegistryError("there is no challenger")
        text = bench.apply("withdraw", Standing(champion), challenger)
    migrations.write_files(models_dir, text.files)
    return Deployment(champion.version, champion.version, text.revision, None)


def require_feature_function(connection: psycopg.Connection, record: registry.ModelRecord) -> None:
    """Raises:
    FeatureMismatchError: the live function of the model's own feature list is not built here.
    """
    if not _has_feature_function(connection, "live_feature_values", record.feature_hash):
        raise FeatureMismatchError(
            f"{record.version} needs the feature function of list {record.feature_hash[:8]}, "
            "which is not built here; retrain"
        )


def _has_feature_function(connection: psycopg.Connection, name: str, feature_hash: str) -> bool:
    row = connection.execute(
        QUERIES["feature_function"], {"name": name, "hash8": feature_hash[:8]}
    ).fetchone()
    return bool(row and row[0])


def _require_features(
    connection: psycopg.Connection, record: registry.ModelRecord, built_feature_hash: str
) -> None:
    if record.feature_hash != built_feature_hash:
        raise FeatureMismatchError(
            f"{record.version} was trained on feature list {record.feature_hash[:8]}, "
            f"but {built_feature_hash[:8]} is built; retrain"
        )
    require_feature_function(connection, record)
