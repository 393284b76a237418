"""Samples during the load (memory of the sessions, sizes, background work), and the maintenance runs."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from benchmarks.soak.world import DAYS, LABEL_DELAY, World
from rowguard.operations.archive import archive_transactions
from rowguard.queries import load_queries
from sql_scoring.features.build import build_features

QUERIES = load_queries("benchmarks.soak")


def sample(url: str, second: float) -> dict[str, Any]:
    """Take one point of the curves, and make the server log the memory contexts of one session."""
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        row = connection.execute(QUERIES["sample"]).fetchone()
        assert row is not None
        pids = row.pop("pids") or []
        if pids:
            connection.execute("SELECT pg_log_backend_memory_contexts(%s)", [pids[0]])
    memory = [usage for pid in pids if (usage := _memory(pid))]
    return {
        "second": second,
        **row,
        **{
            f"{name}_mb": statistics.mean(usage[name] for usage in memory) / 1024 if memory else None
            for name in ("rss", "pss", "private")
        },
        "private_max_mb": max(usage["private"] for usage in memory) / 1024 if memory else None,
    }


def contexts_mb(log: str) -> list[float]:
    """Total of the memory contexts of one session, in MB, from each log entry."""
    return [int(total) / 2**20 for total in re.findall(r"Grand total: (\d+) bytes", log)]


def _memory(pid: int) -> dict[str, int] | None:
    """Resident, proportional and private memory in kilobytes; None where the system does not report it."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return None
    kilobytes = {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
    private = sum(value for name, value in kilobytes.items() if name.startswith("Private_"))
    return {"rss": kilobytes.get("Rss", 0), "pss": kilobytes.get("Pss", 0), "private": private}


@dataclass
class MaintenanceRuns:
    """Feature build, archive run and vacuum under load, one after another in a thread."""

    world: World
    url: str
    started: float
    steps: list[dict[str, Any]] = field(default_factory=list)
    failed: list[BaseException] = field(default_factory=list)

    def run(self, number: int) -> None:
        try:
            self._step(
                f"run {number}: features", lambda: str(build_features(self.url, self._settings).failed)
            )
            self._step(f"run {number}: archive", lambda: self._retain(number))
            self._step(f"run {number}: vacuum", self._vacuum)
        except BaseException as error:
            self.failed.append(error)

    @property
    def _settings(self) -> Any:
        return self.world.settings(self.url)

    def _step(self, name: str, action: Callable[[], str]) -> None:
        start = time.monotonic()
        result = action()
        end = time.monotonic()
        self.steps.append(
            {"step": name, "from": start - self.started, "to": end - self.started, "result": result}
        )

    def _retain(self, number: int) -> str:
        result = archive_transactions(
            self.url,
            self.world.folder / "archive",
            keep_days=DAYS - 10 * number,
            label_delay_days=LABEL_DELAY.days,
        )
        return f"{result.transactions} transactions archived and deleted"

    def _vacuum(self) -> str:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE) transactions")
        return ""
