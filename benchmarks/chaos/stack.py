"""A separate stack for the faults: durable PostgreSQL, PgBouncer, API, history, champion and candidates."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import psutil
import psycopg

from rowguard import local
from rowguard.local import ApiProcess, PgBouncer, PostgresServer
from rowguard.local.state import choose_port
from rowguard.operations.importer import load_history, load_reference
from rowguard.settings import Settings
from simulator import SimulationConfig, simulate
from sql_scoring.deployment.migrate import migrate
from trainer.forest import ForestParameters
from trainer.retrain import retrain
from trainer.training import train

USERS = 300
APP_LOGIN = "chaos_app"
SMALL = ForestParameters(n_estimators=5, max_leaf_nodes=16)
DISK_MEGABYTES = 1500


@dataclass
class ChaosStack:
    """The stack under test. Its only repair is a supervisor's: restart programs that ended."""

    settings: Settings
    disk: Path | None
    """A small file system that holds all state; None where mounting is not allowed."""
    candidates: list[str]

    @property
    def server(self) -> PostgresServer:
        return local.embedded_server(self.settings)

    @property
    def pgbouncer(self) -> PgBouncer:
        return local.embedded_pgbouncer(self.settings)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.api_port}"

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection]:
        """Connect as the owner, without PgBouncer, in autocommit mode."""
        with psycopg.connect(self.url, autocommit=True, connect_timeout=10) as connection:
            yield connection

    # -- signals

    @property
    def processes(self) -> dict[str, psutil.Process | None]:
        """The running programs of the stack, None for the others."""
        return {
            "PostgreSQL": self.server.process,
            "PgBouncer": self.pgbouncer.process,
            "API": local.embedded_api(self.settings).process,
        }

    def send_signal(self, name: str, kind: signal.Signals) -> None:
        """Send a signal to a program of the stack."""
        process = self.processes[name]
        assert process is not None, f"{name} does not run"
        process.send_signal(kind)

    def signal_postmaster(self, kind: signal.Signals) -> None:
        self.send_signal("PostgreSQL", kind)

    def kill_pgbouncer(self) -> None:
        self.send_signal("PgBouncer", signal.SIGKILL)

    def kill_api(self) -> None:
        self.send_signal("API", signal.SIGKILL)

    def pids(self) -> dict[str, int | None]:
        """Process ids of the running programs of the stack."""
        return {name: process.pid if process else None for name, process in self.processes.items()}

    def restart_ended(self) -> None:
        """Restart ended programs, as systemd or `rowguard up` does."""
        local.up(self.settings, api=True)

    def environment(self) -> dict[str, str]:
        """Environment in which another process works on this stack."""
        inherited = {name: value for name, value in os.environ.items() if "DATABASE_URL" not in name}
        return inherited | {
            "ROWGUARD_STATE_DIR": str(self.settings.state_dir),
            "ROWGUARD_MODELS_DIR": str(self.settings.models_dir),
            "ROWGUARD_API_PORT": str(self.settings.api_port),
        }


@contextmanager
def built_stack(*, with_disk: bool, with_candidates: bool = True) -> Iterator[ChaosStack]:
    """Build everything, and destroy it on exit."""
    folder = Path(tempfile.mkdtemp(prefix="rowguard-chaos-"))
    folder.chmod(0o711)
    disk = _mount(folder / "disk") if with_disk else None
    settings = Settings(
        database_url=None,
        state_dir=(disk or folder) / ".rowguard",
        models_dir=folder / "models",
        # Call times on a machine under faults must not reject a model.
        gate_max_first_call_ms=600_000,
        gate_max_call_ms=600_000,
        api_port=choose_port(folder),
        _env_file=None,
    )
    try:
        local.up(settings, api=False)
        stack = ChaosStack(settings, disk, [])
        _fill(stack, with_candidates)
        local.up(settings, api=True)
        yield stack
    finally:
        local.destroy(settings)
        if disk is not None:
            subprocess.run(["umount", str(disk)], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def _fill(stack: ChaosStack, with_candidates: bool) -> None:
    migrate(stack.url, stack.settings)
    world = simulate(SimulationConfig(users=USERS, merchants=120, days=45, seed=5, fraud_rate=0.02))
    load_reference(stack.url, world.users.to_batches(), "users")
    load_history(
        stack.url,
        world.transactions.drop_columns(["scenario"]).to_batches(65_536),
        label_delay=timedelta(days=7),
        source="simulator",
    )
    retrain(stack.url, stack.settings)
    if with_candidates:
        stack.candidates = [train_candidate(stack, seed) for seed in (1, 2, 3)]


def train_candidate(stack: ChaosStack, seed: int) -> str:
    """Register one more model that can be deployed."""
    return train(stack.url, stack.settings, parameters=replace(SMALL, random_state=seed)).version


def _mount(folder: Path) -> Path | None:
    """Mount a small file system, so that only this stack's disk fills up; None where mounting is not allowed."""
    folder.mkdir()
    result = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m,mode=711", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    return folder if result.returncode == 0 else None


__all__ = ["APP_LOGIN", "USERS", "ApiProcess", "ChaosStack", "built_stack", "train_candidate"]
