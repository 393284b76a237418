"""Inserts at full speed for minutes into a table of millions: memory of sessions, sizes, plans and latency as curves.

`run.py --rows 10000000 --minutes 60` is the full run. Prints one JSON document, a sample a line in `samples`.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from psycopg.rows import dict_row
from pydantic import SecretStr

from benchmarks.inserts.run import prepare
from rowguard import pipeline
from rowguard.local import PostgresServer, find_postgres_binaries
from rowguard.settings import Settings

HERE = Path(__file__).parent
STEP = 500_000
SETTLED = 500
SCRIPT = (
    "\\set user random(1, {users})\n\\set cents random(100, 50000)\n\\set merchant random(1, 1000)\n"
    "INSERT INTO transactions (user_id, amount, merchant_id, location)"
    " VALUES (:user, :cents / 100.0, :merchant, 'DE')"
    " RETURNING transaction_id, fraud_flag;\n"
)
PROGRESS = re.compile(r"progress: ([\d.]+) s, ([\d.]+) tps, lat ([\d.]+) ms stddev ([\d.]+), (\d+) failed")


def main(
    rows: Annotated[int, typer.Option(help="Rows that are there before.", min=0)] = 3_000_000,
    minutes: Annotated[float, typer.Option(help="Length of the load.", min=0.1)] = 6,
    clients: Annotated[int, typer.Option(help="Sessions, all kept open.", min=1)] = 8,
    users: Annotated[int, typer.Option(help="Users of the load and of the rows before.", min=1)] = 50_000,
    every: Annotated[int, typer.Option(help="Seconds between samples.", min=1)] = 15,
) -> None:
    """Run it on a private durable server."""
    with tempfile.TemporaryDirectory(prefix="rowguard-longrun-") as folder:
        Path(folder).chmod(0o711)
        server = PostgresServer(Path(folder) / "postgres", durable=True)
        try:
            url = server.ensure_running()
            prepare(url, Path(folder))
            began = time.monotonic()
            _prefill(url, rows, users)
            prefill_s = time.monotonic() - began
            samples, progress = _load(url, minutes * 60, clients, users, every)
            document = {
                "rows_before": rows,
                "prefill_s": prefill_s,
                "clients": clients,
                "samples": samples,
                "progress": progress,
                **_summary(samples, progress),
                **_after(url, Path(folder)),
            }
        finally:
            server.destroy()
    print(json.dumps(document, indent=1))


def _prefill(url: str, rows: int, users: int) -> None:
    text = (HERE / "prefill.sql").read_text().encode()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET rowguard.load_history = 'on'; SET synchronous_commit = off")
        for first in range(1, rows + 1, STEP):
            values = {"users": users, "first": first, "last": min(rows, first + STEP - 1)}
            connection.execute(text, values)
        settle = (HERE / "settle.sql").read_text().encode()
        for first in range(1, users + 1, SETTLED):
            connection.execute(settle, {"first": first, "last": min(users, first + SETTLED - 1)})
        connection.execute("VACUUM (ANALYZE) transactions")


def _load(
    url: str, seconds: float, clients: int, users: int, every: int
) -> tuple[list[dict[str, Any]], list[dict[str, float]]]:
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(SCRIPT.format(users=users))
        script.flush()
        process = subprocess.Popen(
            [
                str(find_postgres_binaries() / "pgbench"), "--no-vacuum", "--protocol=prepared",
                f"--file={script.name}", f"--time={int(seconds)}", f"--client={clients}", "--jobs=2",
                f"--progress={every}", url,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        lines: list[str] = []
        assert process.stderr is not None
        reader = threading.Thread(target=lambda: lines.extend(process.stderr or []))
        reader.start()
        samples = []
        began = time.monotonic()
        while process.poll() is None:
            samples.append(_sample(url, time.monotonic() - began))
            time.sleep(every)
        reader.join()
        assert process.returncode == 0, lines[-3:]
    found = [PROGRESS.search(line) for line in lines]
    names = ("second", "per_second", "latency_ms", "stddev_ms", "failed")
    progress = [dict(zip(names, map(float, one.groups()), strict=True)) for one in found if one]
    return samples, progress


def _sample(url: str, second: float) -> dict[str, Any]:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        row = connection.execute((HERE / "sample.sql").read_text().encode()).fetchone()
        plan = connection.execute((HERE / "plan.sql").read_text().encode()).fetchone()
    assert row is not None and plan is not None
    memory = [kilobytes for pid in row.pop("pids") or [] if (kilobytes := _private_kb(pid))]
    nodes = re.findall(r"'Node Type': '([^']+)'|'Index Name': '([^']+)'", str(plan))
    return {
        "second": second,
        **row,
        "backend_mb": statistics.mean(memory) / 1024 if memory else None,
        "backend_mb_most": max(memory) / 1024 if memory else None,
        "plan": " / ".join(kind or index for kind, index in nodes),
    }


def _private_kb(pid: int) -> int:
    """Memory that is a session's own; 0 where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(int(value) for value in re.findall(r"Private_\w+:\s+(\d+) kB", text))


def _summary(samples: list[dict[str, Any]], progress: list[dict[str, float]]) -> dict[str, Any]:
    """The first and the last third, side by side; the first step is cold and left out."""
    warm = progress[1:]
    third = max(1, len(warm) // 3)
    memory = [one["backend_mb"] for one in samples if one["backend_mb"]]
    return {
        "latency_ms_first_third": statistics.mean(one["latency_ms"] for one in warm[:third]),
        "latency_ms_last_third": statistics.mean(one["latency_ms"] for one in warm[-third:]),
        "per_second_first_third": statistics.mean(one["per_second"] for one in warm[:third]),
        "per_second_last_third": statistics.mean(one["per_second"] for one in warm[-third:]),
        "failed": sum(one["failed"] for one in progress),
        "backend_mb_early": memory[1] if len(memory) > 1 else None,
        "backend_mb_late": memory[-1] if memory else None,
        "plans": sorted({one["plan"] for one in samples}),
        "table_bytes_grown": samples[-1]["table_bytes"] - samples[0]["table_bytes"],
        "index_bytes_grown": samples[-1]["index_bytes"] - samples[0]["index_bytes"],
    }


def _after(url: str, folder: Path) -> dict[str, Any]:
    """What was decided, whether it replays, and how much of the velocity index is air."""
    settings = Settings(
        database_url=SecretStr(url), state_dir=folder / "state", models_dir=folder / "models", _env_file=None
    )
    report = pipeline.verify(url, settings)
    with psycopg.connect(url, autocommit=True) as connection:
        counts = connection.execute(
            "SELECT count(*) FILTER (WHERE model_version IS NOT NULL),"
            " count(*) FILTER (WHERE model_version IS NULL AND unscored_reason IS NULL AND NOT is_history),"
            " count(*) FILTER (WHERE unscored_reason IS NOT NULL), count(*) FROM transactions"
        ).fetchone()
        size = "SELECT pg_relation_size('public.transactions_user_occurred_idx')"
        before = connection.execute(size).fetchone()
        connection.execute("REINDEX INDEX public.transactions_user_occurred_idx")
        after = connection.execute(size).fetchone()
    assert counts is not None and before is not None and after is not None
    names = ("decided", "without_decision_or_reason", "with_reason", "rows_after")
    return {
        **dict(zip(names, counts, strict=True)),
        "replay_is_ok": report.is_ok,
        "replay": report.checks,
        "velocity_index_bloat": before[0] / after[0],
    }


if __name__ == "__main__":
    typer.run(main)
