"""The account that the servers run as: PostgreSQL and PgBouncer refuse to run as root."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rowguard.errors import LocalStackError
from rowguard.local._files import read_text, write_private

_CANDIDATES = ("postgres", "_postgres", "nobody")
_SHARED_PARENTS = ("/var/lib", "/var/db", "/var/tmp")
_NOTE = "place"
_PLACE_PREFIX = "server-"


@dataclass(frozen=True)
class Account:
    """A user of the operating system, by number."""

    uid: int
    gid: int


def run_as(account: Account | None) -> dict[str, Any]:
    """Arguments of `subprocess` that run a program as the account; files it makes are its own."""
    if account is None:
        return {"umask": 0o077}
    return {"umask": 0o077, "user": account.uid, "group": account.gid, "extra_groups": []}


def server_account(*owned: Path) -> Account | None:
    """The account to run servers as: None (this one) for an ordinary user, another one for root.

    The owner of the first of `owned` that exists and is not root's wins, so that the account stays the same
    when a `postgres` user appears later, and root can look after what an ordinary user set up.

    Raises:
        LocalStackError: root, and no other account to run as.
    """
    if os.geteuid() != 0:
        return None
    for path in owned:
        if path.exists() and (status := path.stat()).st_uid != 0:
            return Account(status.st_uid, status.st_gid)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise LocalStackError(
        "PostgreSQL does not run as root and there is no user postgres or nobody to run it as; "
        "run rowguard as an ordinary user"
    )


def can_enter(account: Account | None, directory: Path) -> bool:
    """Whether the account can reach a directory, found out by trying: modes alone do not tell (ACLs, mounts).

    Raises:
        LocalStackError: root may not switch to the account here.
    """
    try:
        tried = subprocess.run(
            ["/bin/sh", "-c", 'cd "$1"', "sh", str(directory)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            check=False,
            **run_as(account),
        )
    except OSError as error:
        raise LocalStackError(
            f"cannot run a program as another user ({error.strerror}), and PostgreSQL does not run as root; "
            "run rowguard as an ordinary user"
        ) from error
    return tried.returncode == 0


def let_pass(directory: Path, account: Account | None) -> None:
    """Let the account walk through one of our own directories (0710, its group), and nobody else.

    Only for root, and only on directories of root's that rowguard itself made: parents are never changed.
    """
    if account is None:
        return
    status = directory.stat()
    if status.st_uid == 0 and (status.st_gid != account.gid or status.st_mode & 0o777 != 0o710):
        os.chown(directory, 0, account.gid)
        os.chmod(directory, 0o710)


def recorded_place(directory: Path) -> Path | None:
    """The place elsewhere that `directory` remembers, if it looks like one that `workplace` made."""
    text = read_text(directory / _NOTE)
    place = Path(text) if text else None
    if place is None or place.parent.name != "rowguard" or not place.name.startswith(_PLACE_PREFIX):
        return None
    return None if place.is_symlink() else place


def workplace(directory: Path, account: Account | None) -> Path:
    """Where the account can keep its data: the directory itself, or one elsewhere that `directory` remembers.

    Elsewhere is needed when root's checkout lies where the account cannot go, such as under /root.

    Raises:
        LocalStackError: no such place can be made.
    """
    place = recorded_place(directory)
    if place is not None and place.is_dir():
        if account is None:
            raise LocalStackError(
                f"the data of {directory} was put under {place} by root: run as root, or remove {directory}"
            )
        if place.stat().st_uid == 0:
            return place
    if account is None or can_enter(account, directory):
        return directory
    if (directory / "data").exists():
        raise LocalStackError(
            f"the user that owns the data in {directory} can no longer reach it; "
            "give the directories above it the x permission back"
        )
    place = _new_place(account)
    write_private(directory / _NOTE, f"{place}\n")
    return place


def _new_place(account: Account) -> Path:
    """A new directory of root's that the account can reach."""
    for parent in (*_SHARED_PARENTS, tempfile.gettempdir()):
        shared = Path(parent) / "rowguard"
        try:
            shared.mkdir(mode=0o711, exist_ok=True)
            status = shared.lstat()
            # In a directory like /var/tmp a stranger may have been there first.
            if shared.is_symlink() or status.st_uid != 0 or status.st_mode & 0o022:
                continue
            os.chmod(shared, 0o711)
            place = Path(tempfile.mkdtemp(dir=shared, prefix=_PLACE_PREFIX))
            let_pass(place, account)
        except OSError:
            continue
        if can_enter(account, place):
            return place
        place.rmdir()
    raise LocalStackError(
        "found no directory that both root and the server's account can reach "
        f"(tried {', '.join(_SHARED_PARENTS)} and {tempfile.gettempdir()}); run rowguard as an ordinary user"
    )
