"""An open deployment: one transaction that holds the deployment lock."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from rowguard.errors import FeatureMismatchError
from rowguard.queries import load_queries
from sql_scoring import registry
from sql_scoring.deployment import migrations
from sql_scoring.deployment._facade import DeploymentState
from sql_scoring.deployment._parity import Parity
from sql_scoring.deployment._revision import identify, render_revision
from sql_scoring.deployment.revision_files import reject_unapplied_files, restore_files
from sql_scoring.deployment.written_files import write_files
from sql_scoring.jobs import lock_job
from sql_scoring.registry import ModelRecord, Revision

QUERIES = load_queries("sql_scoring")


@dataclass(frozen=True)
class Deployment:
    """The champion (`version`) and challenger afterwards, and the previous champion.

    `parity` is None where no function was deployed that was not compared before.
    """

    version: str
    previous: str | None
    revision: str
    parity: Parity | None = None
    challenger: str | None = None
    canary_percent: float | None = None

    def as_document(self) -> dict[str, Any]:
        """Return what the command line and the nightly run report."""
        return {
            "champion": self.version,
            "previous": self.previous,
            "challenger": self.challenger,
            "canary_percent": self.canary_percent,
            "revision": self.revision,
            "parity_rows": self.parity.rows if self.parity else None,
            "parity_differences": self.parity.differences if self.parity else None,
        }


@dataclass(frozen=True)
class DeploymentSession:
    """The transaction, what it found under the lock, and the files to write after the commit."""

    connection: sa.Connection
    driver: psycopg.Connection
    models_dir: Path
    applied: list[Revision]
    state: DeploymentState
    files: dict[str, str] = field(default_factory=dict)

    def apply(
        self, kind: str, after: DeploymentState, subject: ModelRecord, *, steps: int = 1, note: str = ""
    ) -> Deployment:
        """Render the revision that leads to another state, and run it in this transaction.

        Args:
            kind: As in `scoring.model_revisions`.
            after: The state that it leads to.
            subject: The model that it is about.
            steps: How many champions a rollback or a roll-forward moves.
            note: Added to the subject's reason, such as why it was forced.

        Returns:
            Champion and challenger afterwards.
        """
        champion, challenger = after.champion, after.challenger
        assert champion is not None, "a revision leaves a champion"
        revision = identify(
            Revision(
                revision="",
                parent=self.applied[-1].revision if self.applied else None,
                schema_revision=migrations.schema_head(),
                kind=kind,
                champion=champion.version,
                challenger=challenger.version if challenger else None,
                canary_percent=challenger.canary_percent if challenger else None,
                steps=steps,
                note=note,
                creates_function=not registry.function_exists(self.driver, subject.function_name),
            ),
            len(self.applied) + 1,
            subject,
        )
        files = render_revision(revision, self.state, after)
        reject_unapplied_files(self.models_dir, self.applied)
        # From a scratch folder: files count only once the database has them.
        with tempfile.TemporaryDirectory(prefix="rowguard-revision-") as scratch:
            write_files(Path(scratch), files)
            migrations.upgrade(self.connection, revision.revision, [self.models_dir, Path(scratch)])
        self.files.update(files)
        return Deployment(
            revision.champion,
            self.state.champion.version if self.state.champion else None,
            revision.revision,
            challenger=revision.challenger,
            canary_percent=revision.canary_percent,
        )


@contextmanager
def deployment_session(url: str, models_dir: Path) -> Iterator[DeploymentSession]:
    """Open a deployment; a second one waits here until the first has committed."""
    models_dir.mkdir(parents=True, exist_ok=True)
    with migrations.transaction(url) as connection:
        driver = migrations.driver(connection)
        lock_job(driver, "deploy")
        restore_files(driver, models_dir)
        champion, challenger = registry.champion_version(driver), registry.challenger_version(driver)
        state = DeploymentState(
            registry.get_model(driver, champion) if champion else None,
            registry.get_model(driver, challenger) if challenger else None,
        )
        session = DeploymentSession(connection, driver, models_dir, registry.applied_revisions(driver), state)
        yield session
    write_files(models_dir, session.files)


def require_feature_function(connection: psycopg.Connection, record: registry.ModelRecord) -> None:
    """Require that the live function of the model's own feature list is built.

    Raises:
        FeatureMismatchError: It is not.
    """
    row = connection.execute(QUERIES["has_feature_function"], {"hash8": record.feature_hash[:8]}).fetchone()
    if not (row and row[0]):
        raise FeatureMismatchError(
            f"{record.version} needs the feature function of list {record.feature_hash[:8]}, "
            "which is not built here; retrain"
        )
