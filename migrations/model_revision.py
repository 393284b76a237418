"""Runs a generated model revision's SQL and stores its files in the registry.

A revision is `<name>.py` with a folder `<name>/` next to it: `function.sql` (the scoring function; absent when the
version was deployed before), `upgrade.sql` and `downgrade.sql`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from alembic import op

from migrations.script_text import run_sql_text

FUNCTION, UPGRADE, DOWNGRADE = "function.sql", "upgrade.sql", "downgrade.sql"

_RECORD = sa.text(
    """
    INSERT INTO scoring.model_revisions (revision, kind, champion, files, steps, challenger)
    VALUES (:revision, :kind, :champion, cast(:files AS jsonb), :steps, :challenger)
    """
)
_DELETE = sa.text("DELETE FROM scoring.model_revisions WHERE revision = :revision")
_STORE_FUNCTION = sa.text(
    "UPDATE scoring.models SET sql_text = :sql_text WHERE version = :version AND sql_text IS NULL"
)


@dataclass(frozen=True)
class ModelRevision:
    """One revision of the models branch.

    Attributes:
        file: Path of the revision's own `.py`.
        kind: As in `scoring.model_revisions`.
        champion: The champion after the upgrade.
        sha256: Hash of each file in the folder, by name.
        challenger: The challenger after the upgrade.
        steps: How many champions a rollback or a roll-forward moves.
    """

    file: str
    revision: str
    kind: str
    champion: str
    sha256: Mapping[str, str]
    challenger: str | None = None
    steps: int = 1

    @property
    def subject(self) -> str:
        """The version that the revision is about."""
        return self.challenger if self.kind == "deploy_challenger" and self.challenger else self.champion

    @property
    def folder(self) -> Path:
        """Folder of the revision's SQL files."""
        return Path(self.file).with_suffix("")

    def upgrade(self) -> None:
        """Create the function, repoint the facade, write the registry: all in the caller's transaction."""
        if FUNCTION in self.sha256:
            self._run(FUNCTION)
        self._run(UPGRADE)
        if FUNCTION in self.sha256:
            text = (self.folder / FUNCTION).read_text()
            op.execute(_STORE_FUNCTION.bindparams(version=self.subject, sql_text=text))
        op.execute(
            _RECORD.bindparams(
                revision=self.revision,
                kind=self.kind,
                champion=self.champion,
                files=json.dumps(self._files()),
                steps=self.steps,
                challenger=self.challenger,
            )
        )

    def downgrade(self) -> None:
        """Repoint the facade to the models before, then drop the function that the upgrade created."""
        self._run(DOWNGRADE)
        op.execute(_DELETE.bindparams(revision=self.revision))

    def _run(self, name: str) -> None:
        data = (self.folder / name).read_bytes()
        if hashlib.sha256(data).hexdigest() != self.sha256[name]:
            raise ValueError(
                f"{name} was changed after it was generated: its sha256 is not {self.sha256[name]}"
            )
        run_sql_text(data.decode())

    def _files(self) -> dict[str, str]:
        """Text of all files of this revision by their path relative to the models folder."""
        own = Path(self.file)
        files = {own.name: own.read_text()}
        files |= {f"{self.folder.name}/{name}": (self.folder / name).read_text() for name in self.sha256}
        return files
