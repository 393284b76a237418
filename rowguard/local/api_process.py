"""The API as a background process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rowguard.errors import LocalStackError
from rowguard.local.processes import BackgroundProcess
from rowguard.local.state import component_lock, is_free, load_state

SERVE = (sys.executable, "-m", "rowguard.cli", "serve")
_LOCAL_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


class ApiProcess(BackgroundProcess):
    """`rowguard serve` in the background."""

    name = "API"

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
        super().__init__(directory, log_file)
        self.host = host
        self.port = port
        self._command = tuple(command)
        self._environment = os.environ if environment is None else environment

    @property
    def url(self) -> str:
        """The API's URL on this machine."""
        host = _LOCAL_HOSTS.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def is_responding(self) -> bool:
        """Return whether `GET /livez` succeeds."""
        import urllib.request  # loads TLS, which commands that only read the database can do without

        # Loopback must not go through a proxy of the environment.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.url}/livez", timeout=5) as response:
                return bool(response.status == 200)
        except (OSError, ValueError):
            return False

    def ensure_running(self, *addresses: str | None) -> str:
        """Start the API unless it runs with these database addresses; return its URL."""
        facts = {"url": self.url, "addresses": list(addresses)}
        with component_lock(self.directory):
            is_current = facts.items() <= load_state(self.directory).items() and self.is_running()
            if not (is_current and self._responds_soon()):
                self._end()
                self.check_port()
                self._launch(self._command, facts, env=self._environment, cwd=Path.cwd())
        return self.url

    def check_port(self) -> None:
        """Raise LocalStackError early if another program listens on the port."""
        if not self.is_running() and not is_free(self.port, self.host):
            raise LocalStackError(
                f"port {self.port} on {self.host} is taken; end that program or set ROWGUARD_API_PORT"
            )
