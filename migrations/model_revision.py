"""What every generated model revision does: run its SQL, and keep its own files in the registry.

A revision is `<name>.py` with a folder `<name>/` beside it: `function.sql` (the scoring function; absent when the
version was deployed before), `upgrade.sql` and `downgrade.sql`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from alembic import op

from migrations.script_text import run_sql_file

FUNCTION, UPGRADE, DOWNGRADE = "function.sql", "upgrade.sql", "downgrade.sql"

_RECORD = sa.text((Path(__file__).parent / "record_model_revision.sql").read_text())
_RECORD_FULL = sa.text((Path(__file__).parent / "record_model_revision_full.sql").read_text())
_FORGET = sa.text((Path(__file__).parent / "forget_model_revision.sql").read_text())
_KEEP_SQL = sa.text((Path(__file__).parent / "keep_model_sql.sql").read_text())


@dataclass(frozen=True)
class ModelRevision:
    """One step of the models branch.

    Attributes:
        file: the revision's own `.py`.
        kind: what it does, as in `scoring.model_revisions`.
        champion: the version that decides after the upgrade.
        challenger: the version that is tried beside it after the upgrade.
        steps: how many champions a rollback goes back, or a forward goes forward.
        sha256: hash of each file in the folder, by name.
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
        """The version whose function the revision creates, if it creates one."""
        return self.challenger if self.kind == "challenge" and self.challenger else self.champion

    @property
    def folder(self) -> Path:
        return Path(self.file).with_suffix("")

    def upgrade(self) -> None:
        """Create the function, repoint the facade, write the registry: all in the caller's transaction."""
        if FUNCTION in self.sha256:
            self._run(FUNCTION)
        self._run(UPGRADE)
        if FUNCTION in self.sha256:
            text = (self.folder / FUNCTION).read_text()
            op.execute(_KEEP_SQL.bindparams(version=self.subject, sql_text=text))
        values = {
            "revision": self.revision,
            "kind": self.kind,
            "champion": self.champion,
            "files": json.dumps(self._files()),
        }
        if self.steps == 1 and self.challenger is None:
            # Alembic may run an old revision before the schema's newer ones, which bring the other columns.
            op.execute(_RECORD.bindparams(**values))
        else:
            op.execute(_RECORD_FULL.bindparams(**values, steps=self.steps, challenger=self.challenger))

    def downgrade(self) -> None:
        """Repoint the facade to what was before, then drop the function that the upgrade made."""
        self._run(DOWNGRADE)
        op.execute(_FORGET.bindparams(revision=self.revision))

    def _run(self, name: str) -> None:
        run_sql_file(self.folder / name, sha256=self.sha256[name])

    def _files(self) -> dict[str, str]:
        """All files of this revision by their path relative to the models folder."""
        own = Path(self.file)
        files = {own.name: own.read_text()}
        files |= {f"{self.folder.name}/{name}": (self.folder / name).read_text() for name in self.sha256}
        return files
