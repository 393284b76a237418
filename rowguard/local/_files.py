"""Small private files: written whole or not at all, readable by their owner only."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from rowguard.errors import LocalStackError

LOCK_SECONDS = 180.0
LOG_LIMIT_BYTES = 16 * 1024 * 1024
# Time and process number, as PostgreSQL and PgBouncer write them.
_LOG_PREFIX = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ \S+ \[\d+\] ")


def give_to_owner_of(parent: Path, file_descriptor: int) -> None:
    """Hand a file that root makes in somebody's directory to that person, who needs it when root is gone."""
    if os.geteuid() == 0:
        owner = parent.stat()
        os.fchown(file_descriptor, owner.st_uid, owner.st_gid)


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 whole or not at all: a reader sees the old text or the new.

    Raises:
        LocalStackError: the directory cannot be written.
    """
    try:
        file_descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(file_descriptor, "w", encoding="utf-8") as file:
                give_to_owner_of(path.parent, file.fileno())
                file.write(text)
            os.replace(name, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise LocalStackError(f"cannot write {path}: {error.strerror}") from error


def read_text(path: Path) -> str | None:
    """The stripped text of a small file, None when there is none (or it is empty).

    Raises:
        LocalStackError: the file is there and may not be read.
    """
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise LocalStackError(
            f"cannot read {path}: {error.strerror}; the local stack belongs to another user: run as that user"
        ) from error


def remembered_password(path: Path) -> str:
    """The password kept in `path`; made and kept when there is none.

    Raises:
        LocalStackError: the file cannot be read or written.
    """
    password = read_text(path)
    if password is None:
        password = secrets.token_urlsafe(24)
        write_private(path, password + "\n")
    return password


def private_directory(path: Path) -> None:
    """Make a directory of mode 0700 unless it is there.

    Raises:
        LocalStackError: it cannot be made, or something else has its name.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        owner = path.parent.stat()
        if os.geteuid() == 0 and owner.st_uid != 0 and not owner.st_mode & 0o022:
            os.chown(path, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise LocalStackError(f"cannot make the directory {path}: {error.strerror}") from error


def open_log(path: Path) -> int:
    """Open a log for appending (0600); a long one is first put aside as `<name>.1`.

    Raises:
        LocalStackError: the file cannot be opened.
    """
    try:
        if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
            os.replace(path, path.with_name(path.name + ".1"))
        file_descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        give_to_owner_of(path.parent, file_descriptor)
        return file_descriptor
    except OSError as error:
        raise LocalStackError(f"cannot open the log {path}: {error.strerror}") from error


def log_size(path: Path) -> int:
    """Bytes in a log now; what is written later begins there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def log_since(path: Path, offset: int) -> str:
    """What a log received after `offset`."""
    try:
        with path.open("rb") as file:
            file.seek(offset if offset <= log_size(path) else 0)
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def telling_line(text: str) -> str:
    """The line of a log that says what went wrong (the last fatal one, else the last), without its time."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for word in ("FATAL", "PANIC", "ERROR", "error:", "could not"):
        for line in reversed(lines):
            if word in line:
                return _LOG_PREFIX.sub("", line)
    return lines[-1] if lines else "nothing was written to the log"


@contextmanager
def exclusive(directory: Path, what: str) -> Iterator[None]:
    """Hold the lock of one component, so that of two commands at once the second waits and finds it done.

    Raises:
        LocalStackError: another command holds it for minutes, or the file cannot be opened.
    """
    path = directory / "lock"
    try:
        if not path.exists():
            file_descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            give_to_owner_of(directory, file_descriptor)
            os.close(file_descriptor)
        lock = FileLock(path, mode=0o600)
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout as error:
        raise LocalStackError(
            f"another command has been starting or stopping {what} for {LOCK_SECONDS:.0f} s (lock {path}); "
            "wait for it or end it, then try again"
        ) from error
    except OSError as error:
        raise LocalStackError(f"cannot lock {path}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()
