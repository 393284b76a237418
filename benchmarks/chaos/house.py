"""A stack of its own to break: durable PostgreSQL, PgBouncer, the API, a history, a champion and two candidates."""

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

import psycopg

from rowguard import local
from rowguard.local import ApiProcess, PgBouncer, PostgresServer, _ports
from rowguard.local._postmaster import find_postmaster
from rowguard.local._processes import ProcessRecord
from rowguard.operations.importer import load_history, load_users
from rowguard.settings import Settings
from simulator import SimulationConfig, simulate
from trainer.evaluation import AlertBudget
from trainer.forest import ForestParameters
from trainer.lifecycle import migrate
from trainer.retrain import retrain
from trainer.training import train

USERS = 300
APP_LOGIN = "chaos_app"
SMALL = ForestParameters(n_estimators=5, max_leaf_nodes=16)
DISK_MEGABYTES = 1500


@dataclass
class House:
    """What is broken and repaired. Repairs are what a supervisor does: start again what has ended."""

    settings: Settings
    disk: Path | None
    """A small file system below everything, None where mounting is not allowed."""
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
        """The owner, direct, in autocommit mode."""
        with psycopg.connect(self.url, autocommit=True, connect_timeout=10) as connection:
            yield connection

    # -- signals

    def signal_postmaster(self, kind: signal.Signals) -> None:
        found = find_postmaster(self.server.data)
        assert found is not None, "PostgreSQL does not run"
        os.kill(found.pid, kind)

    def kill_pgbouncer(self) -> None:
        self._kill_recorded("pgbouncer")

    def kill_api(self) -> None:
        self._kill_recorded("api")

    def pids(self) -> dict[str, int | None]:
        """Of each program of ours that runs now."""
        found = find_postmaster(self.server.data)
        pids: dict[str, int | None] = {"PostgreSQL": found.pid if found else None}
        for name, part in (("PgBouncer", "pgbouncer"), ("API", "api")):
            record = ProcessRecord.load(self.settings.state_dir / part / "process")
            pids[name] = record.pid if record is not None and record.runs() else None
        return pids

    def _kill_recorded(self, part: str) -> None:
        record = ProcessRecord.load(self.settings.state_dir / part / "process")
        assert record is not None and record.runs(), f"{part} does not run"
        os.kill(record.pid, signal.SIGKILL)

    def start_what_ended(self) -> None:
        """What systemd or `rowguard up` does."""
        local.up(self.settings, api=True)

    def environment(self) -> dict[str, str]:
        """In which another process of ours works on this house."""
        kept = {name: value for name, value in os.environ.items() if "DATABASE_URL" not in name}
        return kept | {
            "ROWGUARD_STATE_DIR": str(self.settings.state_dir),
            "ROWGUARD_MODELS_DIR": str(self.settings.models_dir),
            "ROWGUARD_API_PORT": str(self.settings.api_port),
        }


@contextmanager
def built_house(*, with_disk: bool, with_candidates: bool = True) -> Iterator[House]:
    """Build everything, hand it out, take it down whatever happened."""
    folder = Path(tempfile.mkdtemp(prefix="rowguard-chaos-"))
    folder.chmod(0o711)
    disk = _mount(folder / "disk") if with_disk else None
    settings = Settings(
        database_url=None,
        state_dir=(disk or folder) / ".rowguard",
        models_dir=folder / "models",
        # How quick a call is on a machine that is being broken is not what the gates are asked here.
        gate_max_first_call_ms=600_000,
        gate_max_call_ms=600_000,
        api_port=_ports.choose(str(folder)),
        _env_file=None,
    )
    try:
        local.up(settings, api=False)
        house = House(settings, disk, [])
        _fill(house, with_candidates)
        local.up(settings, api=True)
        yield house
    finally:
        local.destroy(settings)
        if disk is not None:
            subprocess.run(["umount", str(disk)], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def _fill(house: House, with_candidates: bool) -> None:
    migrate(house.url, house.settings)
    world = simulate(SimulationConfig(users=USERS, merchants=120, days=45, seed=5, fraud_rate=0.02))
    load_users(house.url, world.users)
    load_history(
        house.url,
        world.transactions.drop_columns(["transaction_id", "scenario"]).to_batches(65_536),
        label_delay=timedelta(days=7),
        source="simulator",
    )
    retrain(house.url, house.settings)
    if with_candidates:
        house.candidates = [train_candidate(house, seed) for seed in (1, 2, 3)]


def train_candidate(house: House, seed: int) -> str:
    """One more registered model that could be deployed."""
    return train(
        house.url,
        state_dir=house.settings.state_dir,
        label_delay=timedelta(days=7),
        rule=AlertBudget(0.01),
        parameters=replace(SMALL, random_state=seed),
    ).version


def _mount(place: Path) -> Path | None:
    """A small file system, so that a full disk is nobody else's; None where mounting is not allowed."""
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m,mode=711", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    return place if done.returncode == 0 else None


__all__ = ["APP_LOGIN", "USERS", "ApiProcess", "House", "built_house", "train_candidate"]
