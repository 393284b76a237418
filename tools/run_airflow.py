"""Run Airflow on the local stack until Ctrl-C: UI, scheduler, triggerer and DAG processor.

`make airflow` runs it in Airflow's environment. Some processes survive a signal to their parent, so all descendants
are recorded while Airflow runs, and stopped at the end.
"""

from __future__ import annotations

import argparse
import json
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
STOP_TIMEOUT_S = 20


def main() -> int:
    """Start, wait for Ctrl-C or SIGTERM, stop; return 0 if everything ended then."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--home", type=Path, default=ROOT / ".rowguard" / "airflow")
    arguments = parser.parse_args()
    if is_open(arguments.port):
        print(f"port {arguments.port} is in use; give another: make airflow PORT=8085", file=sys.stderr)
        return 1
    environment = {
        "DATABASE_URL": local_database_url(),
        **os.environ,
        **variables(arguments.home, arguments.port),
    }
    airflow = str(Path(sys.executable).with_name("airflow"))
    arguments.home.mkdir(parents=True, exist_ok=True)
    log = arguments.home / "standalone.log"
    print(
        f"preparing Airflow's own database; its log is {log.relative_to(ROOT) if ROOT in log.parents else log}"
    )
    stop_requested = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop_requested.set())
    with log.open("a") as output:
        subprocess.run([airflow, "db", "migrate"], env=environment, stdout=output, stderr=output, check=True)
        # Its own session, so Ctrl-C reaches only this program, which then stops everything in order.
        process = subprocess.Popen(
            [airflow, "standalone"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    tree = ProcessTree(process.pid)
    announced = False
    while process.poll() is None and not stop_requested.wait(1):
        tree.update()
        if not announced and is_responding(arguments.port):
            announced = True
            print(
                f"Airflow is at http://localhost:{arguments.port} (no login needed here); Ctrl-C stops it",
                flush=True,
            )
    if not stop_requested.is_set():
        print(f"Airflow ended with {process.returncode}; see {log}", file=sys.stderr)
    else:
        print("stopping Airflow", flush=True)
    survivors = tree.stop(process)
    print(
        "stopped; the local stack is still up (rowguard down stops it)"
        if not survivors
        else f"still running: {survivors}"
    )
    return 0 if stop_requested.is_set() and not survivors else 1


def local_database_url() -> str:
    """Return the address of the local stack, which `rowguard up` has started."""
    rowguard = str(Path(sys.executable).with_name("rowguard"))
    status = subprocess.run([rowguard, "status", "--json"], capture_output=True, text=True, check=True)
    return str(json.loads(status.stdout)["database_url"])


def variables(home: Path, port: int) -> dict[str, str]:
    """Return Airflow's settings. Port, base URL and execution API URL belong together."""
    return {
        "AIRFLOW_HOME": str(home),
        # `standalone` starts its parts by name.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        # Every user of this machine may do everything; it listens on loopback only.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://localhost:{port}",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://localhost:{port}/execution/",
        "AIRFLOW__API__WORKERS": "1",
        # The default of 5 s fails tasks on a busy machine before they start.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "NO_COLOR": "1",
    }


class ProcessTree:
    """The descendants of a process, including those whose parent has ended since the last update."""

    def __init__(self, pid: int) -> None:
        self.members: dict[int, psutil.Process] = {}
        self.root = psutil.Process(pid)
        self.update()

    def update(self) -> None:
        """Record the current descendants."""
        for process in [self.root, *list(self.members.values())]:
            try:
                for child in [process, *process.children(recursive=True)]:
                    self.members.setdefault(child.pid, child)
            except psutil.NoSuchProcess:
                continue

    def stop(self, process: subprocess.Popen[bytes]) -> list[int]:
        """Send SIGINT, then SIGTERM, then SIGKILL; return the process ids that survive."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            self.update()
            for member in self.alive():
                try:
                    member.send_signal(number)
                except psutil.NoSuchProcess:
                    continue
            deadline = time.monotonic() + STOP_TIMEOUT_S
            while self.alive() and time.monotonic() < deadline:
                process.poll()
                time.sleep(0.2)
            if not self.alive():
                break
        return [member.pid for member in self.alive()]

    def alive(self) -> list[psutil.Process]:
        """Return the recorded processes that still run; a reused process id does not count."""
        return [
            member
            for member in self.members.values()
            if member.is_running() and member.status() != psutil.STATUS_ZOMBIE
        ]


def is_open(port: int) -> bool:
    """Return whether a program listens on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_responding(port: int) -> bool:
    """Return whether Airflow's health check succeeds."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/monitor/health", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
