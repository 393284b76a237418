"""What is looked at while the load runs: sessions' memory, sizes, background work; and the nights in between."""

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
from rowguard.sql_files import read_sql
from sql_scoring.features.build import build_features

SQL = Path(__file__).parent / "sql"


def sample(url: str, second: float) -> dict[str, Any]:
    """One line of the curves. The server is asked to log the memory contexts of one session, too."""
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        row = connection.execute(read_sql(SQL, "sample").encode()).fetchone()
        assert row is not None
        pids = row.pop("pids") or []
        if pids:
            connection.execute("SELECT pg_log_backend_memory_contexts(%s)", [pids[0]])
    memory = [found for pid in pids if (found := _memory(pid))]
    return {
        "second": second,
        **row,
        **{
            f"{name}_mb": statistics.mean(one[name] for one in memory) / 1024 if memory else None
            for name in ("rss", "pss", "private")
        },
        "private_most_mb": max(one["private"] for one in memory) / 1024 if memory else None,
    }


def contexts_mb(log: str) -> list[float]:
    """Of one session, what its memory contexts hold in all, each time it was asked."""
    return [int(found) / 2**20 for found in re.findall(r"Grand total: (\d+) bytes", log)]


def _memory(pid: int) -> dict[str, int] | None:
    """Kilobytes: resident, its share of what is shared, and its own; None where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return None
    kilobytes = {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
    own = sum(value for name, value in kilobytes.items() if name.startswith("Private_"))
    return {"rss": kilobytes.get("Rss", 0), "pss": kilobytes.get("Pss", 0), "private": own}


@dataclass
class Nights:
    """Features, retention and vacuum, under the load, one after another in a thread."""

    world: World
    url: str
    began: float
    steps: list[dict[str, Any]] = field(default_factory=list)
    failed: list[BaseException] = field(default_factory=list)

    def run(self, number: int) -> None:
        try:
            self._step(
                f"night {number}: features", lambda: str(build_features(self.url, self._settings).failed)
            )
            self._step(f"night {number}: retention", lambda: self._retain(number))
            self._step(f"night {number}: vacuum", self._vacuum)
        except BaseException as error:
            self.failed.append(error)

    @property
    def _settings(self) -> Any:
        return self.world.settings(self.url)

    def _step(self, name: str, deed: Callable[[], str]) -> None:
        start = time.monotonic()
        said = deed()
        end = time.monotonic()
        self.steps.append({"step": name, "from": start - self.began, "to": end - self.began, "said": said})

    def _retain(self, number: int) -> str:
        done = archive_transactions(
            self.url,
            self.world.folder / "archive",
            keep_days=DAYS - 10 * number,
            label_delay_days=LABEL_DELAY.days,
        )
        return f"{done.transactions} transactions archived and deleted"

    def _vacuum(self) -> str:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE) transactions")
        return ""
