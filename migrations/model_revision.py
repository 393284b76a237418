"""Runs a generated model revision: `<name>.py` with its SQL in the folder `<name>/`.

`function.sql` creates the scoring function; it is absent when the version was deployed before. `upgrade.sql` repoints
the facade and writes the registry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

from migrations.script_text import run_sql_text

FUNCTION, UPGRADE = "function.sql", "upgrade.sql"

_STORE_FUNCTION = sa.text(
    "UPDATE scoring.models SET sql_text = :sql_text WHERE version = :version AND sql_text IS NULL"
)


def run_revision(file: str, sha256: Mapping[str, str], version: str) -> None:
    """Run a revision's SQL in the caller's transaction.

    Args:
        file: Path of the revision's own `.py`.
        sha256: Hash of each file in its folder, by name.
        version: The version that the revision is about, whose function's text is stored.

    Raises:
        CommandError: A file was changed after it was generated; nothing ran.
    """
    folder = Path(file).with_suffix("")
    texts = {name: (folder / name).read_bytes() for name in sha256}
    for name, text in texts.items():
        if hashlib.sha256(text).hexdigest() != sha256[name]:
            raise CommandError(
                f"{folder.name}/{name} was changed after it was generated; remove it and run: rowguard migrate"
            )
    for name in (FUNCTION, UPGRADE):
        if name in texts:
            run_sql_text(texts[name].decode())
    if FUNCTION in texts:
        op.execute(_STORE_FUNCTION.bindparams(version=version, sql_text=texts[FUNCTION].decode()))
