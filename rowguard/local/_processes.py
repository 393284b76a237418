"""Processes that outlive the command that starts them, told apart from strangers that got their number."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rowguard.local._account import Account, run_as
from rowguard.local._files import read_text, write_private

_PROC = Path("/proc")
_POLL_SECONDS = 0.05


def _ps(pid: int, column: str) -> str | None:
    """One column of `ps` for a process, for systems without /proc (macOS)."""
    try:
        shown = subprocess.run(
            ["ps", "-ww", "-p", str(pid), "-o", f"{column}="],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return shown.stdout.strip() or None


def _has_proc() -> bool:
    return (_PROC / "self" / "stat").exists()


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits to be collected does not count."""
    if pid <= 0:
        return False
    with contextlib.suppress(ChildProcessError):  # not our child: nothing to collect
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return _state(pid) != "Z"


def _state(pid: int) -> str | None:
    if _has_proc():
        fields = _stat_fields(pid)
        return fields[0] if fields else "Z"
    state = _ps(pid, "stat")
    return state[0] if state else None


def _stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat after the program's name, which may itself hold blanks and brackets."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def birth(pid: int) -> str | None:
    """When the process was born, as text that is only good for comparing; None when it cannot be told."""
    if _has_proc():
        fields = _stat_fields(pid)
        if fields is None:
            return None
        boot = read_text(_PROC / "sys" / "kernel" / "random" / "boot_id") or ""
        return f"{boot}/{fields[19]}"
    return _ps(pid, "lstart")


def command_line(pid: int) -> str | None:
    """Program and arguments of a process; None when they cannot be told."""
    if _has_proc():
        try:
            raw = (_PROC / str(pid) / "cmdline").read_bytes()
        except OSError:
            return None
        return raw.replace(b"\0", b" ").decode("utf-8", "replace").strip() or None
    return _ps(pid, "args")


@dataclass(frozen=True)
class ProcessRecord:
    """What is remembered of a process that we started; `facts` are the starter's own."""

    pid: int
    born: str | None
    facts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> ProcessRecord | None:
        """The record in `path`; None when there is none or it is damaged."""
        text = read_text(path)
        try:
            fields = json.loads(text) if text else None
            return cls(int(fields["pid"]), fields["born"], dict(fields["facts"])) if fields else None
        except (ValueError, KeyError, TypeError):
            return None

    def save(self, path: Path) -> None:
        """Keep the record (0600)."""
        write_private(path, json.dumps(asdict(self)) + "\n")

    def runs(self) -> bool:
        """Whether that very process still runs, and not another one that got its number."""
        return is_alive(self.pid) and birth(self.pid) == self.born


def start_detached(
    command: Sequence[str],
    *,
    log: int,
    account: Account | None = None,
    environment: Mapping[str, str] | None = None,
    directory: Path | str = "/",
) -> int:
    """Start a process in a session of its own, its output in an open log, and return its number.

    No pipe is inherited: a caller that reads our output would otherwise wait until the process ends.

    Raises:
        OSError: the program cannot be run.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        cwd=directory,
        env=environment,
        **run_as(account),
    )
    # The process is meant to outlive this object, which would warn about that when it is collected.
    process.returncode = 0
    return process.pid


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true in that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _group_lives(group: int) -> bool:
    """Whether anything of a process group still runs."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(group, os.WNOHANG)
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    if _has_proc() and not is_alive(group):
        # Zombies answer to signal 0: look whether a member really lives.
        members = (_stat_fields(int(entry.name)) for entry in _PROC.iterdir() if entry.name.isdigit())
        return any(fields and int(fields[2]) == group and fields[0] != "Z" for fields in members)
    return True


def stop_group(
    record: ProcessRecord, *, gentle: signal.Signals = signal.SIGTERM, seconds: float = 10.0
) -> bool:
    """Stop a process that `start_detached` started, and its children: gently, after a while by force.

    Returns whether anything had to be stopped. When the leader is gone but children are left, they are
    stopped too; a stranger that got the leader's number is left alone.
    """
    if is_alive(record.pid) and not record.runs():
        return False
    if not _group_lives(record.pid):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.killpg(record.pid, gentle)
    if not wait_until(lambda: not _group_lives(record.pid), seconds):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(record.pid, signal.SIGKILL)
        wait_until(lambda: not _group_lives(record.pid), 5.0)
    return True
