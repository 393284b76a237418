"""The life of the API as a background process."""

from __future__ import annotations

import hashlib
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from rowguard.errors import LocalStackError
from rowguard.local import _ports
from rowguard.local._files import exclusive, log_since, log_size, open_log, private_directory, telling_line
from rowguard.local._processes import ProcessRecord, birth, start_detached, stop_group
from rowguard.settings import PROJECT_ROOT

SERVE = (sys.executable, "-m", "rowguard.cli", "serve")
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
# A proxy from the environment has no business with loopback.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ApiProcess:
    """The API in a session of its own, its output in a log, found again by a record of its process."""

    def __init__(
        self,
        directory: Path | str,
        *,
        host: str,
        port: int,
        command: Sequence[str] = SERVE,
        environment: Mapping[str, str] | None = None,
        log_file: Path | None = None,
    ) -> None:
        self.directory = Path(directory).absolute()
        self.log_file = log_file or self.directory / "api.log"
        self.host = host
        self.port = port
        self._command = tuple(command)
        self._environment = os.environ if environment is None else environment

    @property
    def url(self) -> str:
        """Where the API is (to be) reached from this machine."""
        host = _ports.local_host(self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def _record(self) -> ProcessRecord | None:
        return ProcessRecord.load(self.directory / "process")

    def is_running(self) -> bool:
        """Whether the process that we started lives and is meant for this address."""
        record = self._record()
        return record is not None and record.runs() and record.facts.get("url") == self.url

    def answers(self) -> bool:
        """Whether `GET /livez` is answered."""
        try:
            with _OPENER.open(f"{self.url}/livez", timeout=5) as response:
                return bool(response.status == 200)
        except (OSError, urllib.error.URLError, ValueError):
            return False

    def ensure_running(self, *addresses: str | None) -> str:
        """Start the API unless it runs with these database addresses, wait until it answers, return its URL.

        Raises:
            LocalStackError: the port is taken by a stranger, or the API does not start.
        """
        private_directory(self.directory)
        private_directory(self.log_file.parent)
        mark = hashlib.sha256("\n".join(address or "" for address in addresses).encode()).hexdigest()
        with exclusive(self.directory, "the API"):
            record = self._record()
            if record is not None:
                if self.is_running() and record.facts.get("addresses") == mark and self._answers_soon(record):
                    return self.url
                self._stop_process(record)  # it is meant for other addresses, hangs, or left children behind
            self.refuse_taken_port()
            self._start(mark)
        return self.url

    def refuse_taken_port(self) -> None:
        """Find out early that the API cannot start.

        Raises:
            LocalStackError: another program listens on the port.
        """
        if not self.is_running() and not _ports.is_free(self.port, self.host):
            raise LocalStackError(
                f"port {self.port} on {self.host} is taken by another program, so the API cannot start; "
                "end that program or choose another port in ROWGUARD_API_PORT"
            )

    def _start(self, mark: str) -> None:
        offset = log_size(self.log_file)
        log = open_log(self.log_file)
        try:
            pid = start_detached(
                self._command,
                log=log,
                directory=PROJECT_ROOT,
                environment=self._environment,
            )
        except OSError as error:
            raise LocalStackError(f"cannot run {self._command[0]}: {error.strerror}") from error
        finally:
            os.close(log)
        record = ProcessRecord(pid, birth(pid), {"url": self.url, "addresses": mark})
        record.save(self.directory / "process")
        if self._answers_soon(record):
            return
        ended = not record.runs()
        self._stop_process(record)
        what = "ended at once" if ended else f"did not answer on {self.url} in {_START_SECONDS:.0f} s"
        last_words = telling_line(log_since(self.log_file, offset))
        raise LocalStackError(f"the API {what}: {last_words}; see {self.log_file}")

    def _answers_soon(self, record: ProcessRecord) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if not record.runs():
                return False
            if self.answers():
                return True
            time.sleep(0.1)
        return False

    def stop(self) -> bool:
        """Stop the API and its children; returns whether anything ran.

        Raises:
            LocalStackError: another command keeps it locked.
        """
        if self._record() is None:
            return False
        with exclusive(self.directory, "the API"):
            record = self._record()
            return record is not None and self._stop_process(record)

    def _stop_process(self, record: ProcessRecord) -> bool:
        stopped = stop_group(record, seconds=_STOP_SECONDS)
        (self.directory / "process").unlink(missing_ok=True)
        return stopped
