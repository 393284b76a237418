"""A background process that outlives the command that starts it, known through its state file."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from rowguard.errors import LocalStackError
from rowguard.local.state import component_lock, error_line, load_state, open_log, save_state

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0


def find_process(pid: int, started_at: float | None = None) -> psutil.Process | None:
    """Return the live process with this id, and start time if given; a zombie counts as ended.

    Args:
        pid: Process id.
        started_at: Start time in seconds since the epoch; None accepts any.
    """
    try:
        process = psutil.Process(pid)
        is_same = started_at is None or process.create_time() == started_at
        return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.Error, ValueError):
        return None


class BackgroundProcess(ABC):
    """A program in its own session, with a directory for its state and a log."""

    name = "process"
    stop_signal = signal.SIGTERM

    def __init__(self, directory: Path | str, log_file: Path | None = None) -> None:
        self.directory = Path(directory).absolute()
        self.log_file = log_file or self.directory / f"{self.name}.log"

    @property
    def process(self) -> psutil.Process | None:
        """The process that `_launch` started, None if it has ended."""
        state = load_state(self.directory)
        return find_process(state["pid"], state["started_at"]) if "pid" in state else None

    def is_running(self) -> bool:
        """Return whether the process runs."""
        return self.process is not None

    @abstractmethod
    def is_responding(self) -> bool:
        """Return whether the program is ready for clients."""

    def stop(self) -> bool:
        """Stop the program and its children, by force after a while; return whether it ran."""
        if not self.is_running():
            return False
        with component_lock(self.directory):
            self._end()
        return True

    def _end(self) -> None:
        process = self.process
        if process is None:
            return
        members = [process, *process.children(recursive=True)]
        process.send_signal(self.stop_signal)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while alive := [member for member in members if find_process(member.pid, member.create_time())]:
            if time.monotonic() > deadline:
                for member in alive:
                    with suppress(psutil.NoSuchProcess):
                        member.kill()
            time.sleep(0.05)

    def _responds_soon(self) -> bool:
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.is_running() and time.monotonic() < deadline:
            if self.is_responding():
                return True
            time.sleep(0.05)
        return False

    def _launch(self, command: Sequence[str], facts: dict[str, Any], **options: Any) -> None:
        """Start the program, store its id and the facts, wait for its answer; `options` are of `subprocess`."""
        log = open_log(self.log_file)
        try:
            # No pipe is inherited: a reader of our output would wait until the program ends.
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            process = subprocess.Popen(command, start_new_session=True, **streams, **options)
        finally:
            os.close(log)
        process.returncode = 0  # it outlives this object, which would warn about that
        started_at = psutil.Process(process.pid).create_time()
        save_state(self.directory, pid=process.pid, started_at=started_at, **facts)
        if not self._responds_soon():
            reason = error_line(self.log_file.read_text(encoding="utf-8", errors="replace"))
            self._end()
            raise LocalStackError(f"{self.name} does not start: {reason}; see {self.log_file}")
