"""The load: pgbench at full speed, three rows in a hundred late, every row with a key; and its logs, parsed."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rowguard.local import find_postgres_binaries

LOGGED_FRACTION = 0.25
EXPLAINED_FRACTION = 0.0005
# The number of rows per user is as skewed as in the loaded history.
SCRIPT = """\\set draw random(0, 999999)
\\set user 1 + :draw * :draw / 1000000 * {users} / 1000000
\\set cents random(100, 50000)
\\set merchant random(1, 999)
\\set key random(1, 1000000000000000)
INSERT INTO transactions (user_id, amount, merchant_id, location, idempotency_key{column})
VALUES (:user, :cents / 100.0, :merchant, 'DE', 'l' || :key{value})
RETURNING transaction_id, fraud_flag;
"""
LATE = {"column": ", occurred_at", "value": ", now() - random() * interval '15 minutes'"}


@dataclass
class Load:
    """One pgbench in the background."""

    url: str
    folder: Path
    seconds: int
    clients: int
    users: int
    output: str = ""
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.glob("latency.*"):
            old.unlink()
        for name, parts in (("on_time", {"column": "", "value": ""}), ("late", LATE)):
            (self.folder / f"{name}.sql").write_text(SCRIPT.format(users=self.users, **parts))
        # The plans of the sessions' own statements, of a few rows in ten thousand.
        options = (
            "-c session_preload_libraries=auto_explain -c auto_explain.log_min_duration=0"
            f" -c auto_explain.sample_rate={EXPLAINED_FRACTION} -c auto_explain.log_nested_statements=on"
            " -c auto_explain.log_timing=off -c auto_explain.log_level=log"
        )
        self._process = subprocess.Popen(
            [
                str(find_postgres_binaries() / "pgbench"), "--no-vacuum", "--protocol=prepared",
                f"--file={self.folder / 'on_time.sql'}@97", f"--file={self.folder / 'late.sql'}@3",
                f"--time={self.seconds}", f"--client={self.clients}", "--jobs=1",
                "--log", f"--sampling-rate={LOGGED_FRACTION}", f"--log-prefix={self.folder / 'latency'}",
                "--max-tries=5", self.url,
            ],
            env={**os.environ, "PGOPTIONS": options},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip

    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def finish(self) -> None:
        assert self._process is not None
        self.output = self._process.communicate(timeout=60)[0]
        assert self._process.returncode == 0, self.output[-2000:]

    def stop(self) -> None:
        """Stop the load after another part failed."""
        if self.runs():
            assert self._process is not None
            self._process.terminate()
            self._process.wait(timeout=30)

    def failed(self) -> int:
        match = re.search(r"number of failed transactions: (\d+)", self.output)
        return int(match.group(1)) if match else 0


def latencies(folder: Path, step: int) -> list[dict[str, Any]]:
    """Percentiles of every `step` seconds, of rows on time and late rows separately."""
    rows = np.concatenate(
        [np.loadtxt(path, usecols=(2, 3, 4, 5), ndmin=2) for path in sorted(folder.glob("latency.*"))]
    )
    ends = rows[:, 2] + rows[:, 3] / 1e6
    began = ends.min()
    interval = ((ends - began) // step).astype(int)
    intervals: list[dict[str, Any]] = []
    for number in range(int(interval.max())):  # the last one is incomplete
        here = rows[interval == number]
        if not len(here):
            intervals.append({"second": number * step, "per_second": 0.0})
            continue
        on_time = here[here[:, 1] == 0, 0] / 1000
        late = here[here[:, 1] == 1, 0] / 1000
        intervals.append(
            {
                "second": number * step,
                "per_second": len(here) / LOGGED_FRACTION / step,
                "p50_ms": float(np.percentile(on_time, 50)),
                "p99_ms": float(np.percentile(on_time, 99)),
                "max_ms": float(here[:, 0].max() / 1000),
                "late_p50_ms": float(np.percentile(late, 50)) if len(late) else None,
                "late_p99_ms": float(np.percentile(late, 99)) if len(late) else None,
            }
        )
    return intervals


def plans(log: str) -> dict[str, dict[str, int]]:
    """The plans of the sessions' own statements: statement, plan, number of occurrences."""
    plans_by_statement: dict[str, dict[str, int]] = {}
    pieces = re.split(r"LOG:  duration: [\d.]+ ms  plan:\n", log)[1:]
    for piece in pieces:
        text = re.split(r"\n\d{4}-\d\d-\d\d ", piece, maxsplit=1)[0]
        query, _, plan = text.partition("(cost=")
        head, _, first = query.rpartition("\n")
        name = " ".join(head.replace("Query Text:", "").split())[:90]
        nodes = re.findall(
            r"(?:->\s+|^)([A-Z][\w ]+?(?: using \S+)?(?: on \S+)?(?: \S+)?)  \(cost=",
            f"{first.strip()}  (cost={plan}",
            re.M,
        )
        shape = " / ".join(
            node.strip() for node in nodes if "Scan" in node and "Function Scan" not in node
        ) or (nodes[0].strip() if nodes else "?")
        shapes = plans_by_statement.setdefault(name, {})
        shapes[shape] = shapes.get(shape, 0) + 1
    return plans_by_statement
