"""Runs a generated revision of a rule set: `<name>.py` with its SQL in the folder `<name>/`.

`function.sql` creates the rule set's function; it is absent in a rollback. `upgrade.sql` registers the rule set, puts
it in force and records the revision.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from alembic import op

from migrations.model_revision import FUNCTION, UPGRADE, read_checked
from migrations.script_text import run_sql_text

_STORE_FUNCTION = sa.text("UPDATE scoring.rule_sets SET sql_text = :sql_text WHERE version = :version")
_STORE_UPGRADE = sa.text(
    "UPDATE scoring.rule_set_revisions SET upgrade_text = :upgrade_text WHERE revision = :revision"
)


def run_rule_revision(file: str, sha256: Mapping[str, str], revision: str, version: int) -> None:
    """Run a revision's SQL in the caller's transaction.

    Args:
        file: Path of the revision's own `.py`.
        sha256: Hash of each file in its folder, by name.
        revision: Its id.
        version: The rule set that it is about.

    Raises:
        CommandError: A file was changed after it was generated; nothing ran.
    """
    texts = read_checked(file, sha256)
    for name in (FUNCTION, UPGRADE):
        if name in texts:
            run_sql_text(texts[name])
    if FUNCTION in texts:
        op.execute(f"REVOKE ALL ON FUNCTION scoring.rule_set_{version:d} FROM public")
        op.execute(_STORE_FUNCTION.bindparams(version=version, sql_text=texts[FUNCTION]))
    op.execute(_STORE_UPGRADE.bindparams(revision=revision, upgrade_text=texts[UPGRADE]))
