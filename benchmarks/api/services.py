"""Starts the two services as separate processes, loads them, and measures their memory."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rowguard.settings import PROJECT_ROOT

HERE = Path(__file__).parent
START_S = 60.0
REQUESTS = 2_000


@dataclass
class Service:
    """A running service."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    headers: dict[str, str]

    def memory_mb(self) -> float:
        """Resident memory of the process and its children, shared pages counted once per process by share."""
        return round(sum(_pss_kb(pid) for pid in _family(self.process.pid)) / 1024, 1)

    def load(self, kind: str, connections: int, seconds: float, users: int) -> dict[str, Any]:
        """Load with requests of one kind; the generator is a separate process."""
        lines = "\n".join(json.dumps([*one, self.headers]) for one in requests(kind, users))
        done = subprocess.run(
            [
                sys.executable,
                str(HERE / "load.py"),
                "127.0.0.1",
                str(self.port),
                str(connections),
                str(seconds),
            ],
            input=lines,
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 60,
        )
        return dict(json.loads(done.stdout)) | {"memory_mb": self.memory_mb()}

    def ask(self, path: str, body: Any) -> dict[str, Any]:
        """One call by itself."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=json.dumps(body).encode(),
            headers={"content-type": "application/json", **self.headers},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return dict(json.load(response))


def requests(kind: str, users: int) -> list[tuple[str, Any]]:
    """The same for both services."""
    chance = random.Random(7)
    if kind == "predict":
        return [
            (
                "/predict",
                {
                    "transaction_amount": round(chance.lognormvariate(3.5, 1.2), 2),
                    "time_since_last_txn": round(chance.expovariate(1 / 600), 1),
                    "num_txns_last_hour": chance.randrange(6),
                    "user_location_match": chance.random() < 0.9,
                },
            )
            for _ in range(REQUESTS)
        ]
    return [
        (
            "/transactions",
            {
                "user_id": chance.randrange(1, users + 1),
                "amount": round(chance.lognormvariate(3.5, 1.2), 2),
                "merchant_id": chance.randrange(1, 200),
                "location": chance.choice(["DE", "FR", "NL"]),
            },
        )
        for _ in range(REQUESTS)
    ]


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    port: int,
    environment: Mapping[str, str],
    log: Path,
    headers: dict[str, str] | None = None,
) -> Iterator[Service]:
    """The service until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=PROJECT_ROOT,
            env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT), **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _await(port, process, log)
        yield Service(name, port, process, headers or {})
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return an unused port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/docs", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"a service did not start: {log.read_text()[-2000:]}")


def _family(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        try:
            children = Path(f"/proc/{one}/task/{one}/children").read_text().split()
        except OSError:
            children = []
        waiting += [int(child) for child in children]
    return found


def _pss_kb(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
