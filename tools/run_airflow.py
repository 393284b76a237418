"""Airflow on the local stack: UI, scheduler, triggerer and DAG processor, until Ctrl-C.

Run by `make airflow` in Airflow's own environment. Whatever Airflow starts is remembered while it runs, because some
of it outlives a plain signal to the parent; at the end all of it is stopped, and only that.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 20


def main() -> int:
    """Start, wait for Ctrl-C or SIGTERM, stop; answers Airflow's exit code, 0 when it was asked to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--home", type=Path, default=ROOT / ".rowguard" / "airflow")
    arguments = parser.parse_args()
    if is_open(arguments.port):
        print(f"port {arguments.port} is in use; give another: make airflow PORT=8085", file=sys.stderr)
        return 1
    environment = {**os.environ, **variables(arguments.home, arguments.port)}
    airflow = str(Path(sys.executable).with_name("airflow"))
    arguments.home.mkdir(parents=True, exist_ok=True)
    log = arguments.home / "standalone.log"
    print(
        f"preparing Airflow's own database; its log is {log.relative_to(ROOT) if ROOT in log.parents else log}"
    )
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    with log.open("a") as output:
        subprocess.run([airflow, "db", "migrate"], env=environment, stdout=output, stderr=output, check=True)
        # A session of its own: Ctrl-C reaches this program alone, which then stops everything in order.
        process = subprocess.Popen(
            [airflow, "standalone"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    family = Family(process.pid)
    announced = False
    while process.poll() is None and not asked.wait(1):
        family.look()
        if not announced and answers(arguments.port):
            announced = True
            print(
                f"Airflow is at http://localhost:{arguments.port} (no log-in needed here); Ctrl-C stops it",
                flush=True,
            )
    if not asked.is_set():
        print(f"Airflow ended by itself with {process.returncode}; see {log}", file=sys.stderr)
    else:
        print("stopping Airflow", flush=True)
    left = family.stop(process)
    print(
        "stopped; the local stack is still up (rowguard down stops it)"
        if not left
        else f"still there: {left}"
    )
    return 0 if asked.is_set() and not left else 1


def variables(home: Path, port: int) -> dict[str, str]:
    """Airflow's settings. Port, base URL and execution API URL belong together."""
    return {
        "AIRFLOW_HOME": str(home),
        # `standalone` starts its parts by name.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        # Whoever reaches the loopback interface of this machine may do everything; nobody else reaches it.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://localhost:{port}",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://localhost:{port}/execution/",
        "AIRFLOW__API__WORKERS": "1",
        # A busy machine answers late; the default of 5 s fails tasks before they begin.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "NO_COLOR": "1",
    }


class Family:
    """All processes that descend from one, also those whose parent has gone since they were seen."""

    def __init__(self, pid: int) -> None:
        self.members: dict[int, psutil.Process] = {}
        self.root = psutil.Process(pid)
        self.look()

    def look(self) -> None:
        """Remember who is there now."""
        for process in [self.root, *list(self.members.values())]:
            try:
                for child in [process, *process.children(recursive=True)]:
                    self.members.setdefault(child.pid, child)
            except psutil.NoSuchProcess:
                continue

    def stop(self, process: subprocess.Popen[bytes]) -> list[int]:
        """Ask, ask again, then force; answers who is still there."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            self.look()
            for member in self.alive():
                try:
                    member.send_signal(number)
                except psutil.NoSuchProcess:
                    continue
            deadline = time.monotonic() + PATIENCE_S
            while self.alive() and time.monotonic() < deadline:
                process.poll()
                time.sleep(0.2)
            if not self.alive():
                break
        return [member.pid for member in self.alive()]

    def alive(self) -> list[psutil.Process]:
        """Those that still run; a pid that was given to somebody else is not one of them."""
        return [
            member
            for member in self.members.values()
            if member.is_running() and member.status() != psutil.STATUS_ZOMBIE
        ]


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/monitor/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
