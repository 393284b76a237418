"""Runs a generated model revision: `<name>.py` with its SQL in the folder `<name>/`.

`function.sql` creates the scoring function; it is absent when the version was deployed before, and so is
`explanation.json`, which the schema builds the explanation from. `upgrade.sql` repoints the facade and writes the
registry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

from migrations.script_text import run_sql_text

FUNCTION, UPGRADE, EXPLANATION = "function.sql", "upgrade.sql", "explanation.json"

_STORE_FUNCTION = sa.text(
    "UPDATE scoring.models SET sql_text = :sql_text WHERE version = :version AND sql_text IS NULL"
)
_STORE_EXPLANATION = sa.text(
    "UPDATE scoring.models SET explanation = :explanation WHERE version = :version AND explanation IS NULL"
)
_BUILD_EXPLANATION = sa.text("SELECT scoring.build_explanation(:version)")


def run_revision(file: str, sha256: Mapping[str, str], version: str) -> None:
    """Run a revision's SQL in the caller's transaction.

    Args:
        file: Path of the revision's own `.py`.
        sha256: Hash of each file in its folder, by name.
        version: The version that the revision is about, whose texts are stored.

    Raises:
        CommandError: A file was changed after it was generated; nothing ran.
    """
    texts = read_checked(file, sha256)
    for name in (FUNCTION, UPGRADE):
        if name in texts:
            run_sql_text(texts[name])
    if FUNCTION in texts:
        op.execute(_STORE_FUNCTION.bindparams(version=version, sql_text=texts[FUNCTION]))
    if EXPLANATION in texts:
        op.execute(_STORE_EXPLANATION.bindparams(version=version, explanation=texts[EXPLANATION]))
        op.execute(_BUILD_EXPLANATION.bindparams(version=version))


def read_checked(file: str, sha256: Mapping[str, str]) -> dict[str, str]:
    """Return the texts of a revision's files.

    Args:
        file: Path of the revision's own `.py`.
        sha256: Hash of each file in its folder, by name.

    Raises:
        CommandError: A file was changed after it was generated.
    """
    folder = Path(file).with_suffix("")
    texts = {name: (folder / name).read_bytes() for name in sha256}
    for name, text in texts.items():
        if hashlib.sha256(text).hexdigest() != sha256[name]:
            raise CommandError(
                f"{folder.name}/{name} was changed after it was generated; remove it and run: rowguard migrate"
            )
    return {name: text.decode() for name, text in texts.items()}
