"""Inserts a second: scored against plain and against a trigger that does nothing; one client and eight.

Every variant runs in turn, round after round, on one durable private server; what is reported are medians over
the rounds and their spread, and ratios of them. Times of one machine say little about another.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
from pydantic import SecretStr

from rowguard.declaration import declared
from rowguard.local import PostgresServer, find_postgres_binaries
from rowguard.operations.importer import load_history, load_reference
from rowguard.settings import Settings
from simulator import SimulationConfig, simulate
from sql_scoring.deployment.migrate import migrate
from trainer.retrain import retrain

HERE = Path(__file__).parent
TABLES = {"plain": "bench_plain", "no-op trigger": "bench_noop", "scored": "transactions"}
USERS = 2_000


@dataclass(frozen=True)
class Measured:
    """Medians over rounds; `spread` is the distance of the fastest from the slowest round, as a share."""

    variant: str
    clients: int
    synchronous_commit: str
    per_second: float
    latency_us: float
    spread: float
    share_of_plain: float


def main() -> None:
    """`run.py SECONDS ROUNDS` prints one JSON document."""
    seconds, rounds = int(sys.argv[1]), int(sys.argv[2])
    with prepared_server() as (_, url):
        found = measure_all(url, seconds, rounds)
    print(json.dumps([asdict(one) for one in found], indent=2))


@contextmanager
def prepared_server() -> Iterator[tuple[PostgresServer, str]]:
    """A durable private server with a history and a model, and its address; deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="rowguard-bench-") as folder:
        place = Path(folder)
        place.chmod(0o711)
        server = PostgresServer(place / "postgres", durable=True)
        try:
            url = server.ensure_running()
            prepare(url, place)
            yield server, url
        finally:
            server.destroy()


def prepare(url: str, folder: Path) -> None:
    """A simulated history, its features and a deployed default forest."""
    settings = Settings(
        database_url=SecretStr(url), state_dir=folder / "state", models_dir=folder / "models", _env_file=None
    )
    migrate(url, settings)
    world = simulate(SimulationConfig(users=USERS, user_id_type=declared().keys.user_id))
    load_reference(url, world.users.to_batches(), "users")
    load_history(
        url,
        world.transactions.drop_columns(["scenario"]).to_batches(65_536),
        label_delay=timedelta(days=7),
        source="simulator",
    )
    retrain(url, settings)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((HERE / "plain_table.sql").read_text().encode())
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")  # all tables' pages are written whole again from here on


def measure_all(url: str, seconds: int, rounds: int) -> list[Measured]:
    """Every variant in every round, in turn, so that a slow minute of the machine hits all alike."""
    cases = [(sync, clients) for sync in ("on", "off") for clients in (1, 8)]
    seen: dict[tuple[str, int, str], list[float]] = {}
    for _ in range(rounds):
        for sync, clients in cases:
            for variant, table in TABLES.items():
                rate = inserts_per_second(url, table, clients, sync, seconds)
                seen.setdefault((variant, clients, sync), []).append(rate)
    found = []
    for (variant, clients, sync), rates in seen.items():
        rate, plain = statistics.median(rates), statistics.median(seen["plain", clients, sync])
        spread = (max(rates) - min(rates)) / rate
        found.append(Measured(variant, clients, sync, rate, clients / rate * 1e6, spread, rate / plain))
    return found


def inserts_per_second(url: str, table: str, clients: int, sync: str, seconds: int) -> float:
    """One pgbench run: single-row INSERTs of random users, prepared, each its own transaction."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(
            f"\\set user random(1, {USERS})\n"
            f"INSERT INTO {table} (user_id, amount, merchant_id, location) VALUES (:user, 12.5, 7, 'DE')"
            " RETURNING transaction_id, fraud_flag;\n"
        )
        script.flush()
        done = subprocess.run(
            [
                str(find_postgres_binaries() / "pgbench"), "--no-vacuum", "--protocol=prepared",
                f"--file={script.name}", f"--time={seconds}", f"--client={clients}", "--jobs=2", url,
            ],
            env={**os.environ, "PGOPTIONS": f"-c synchronous_commit={sync}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout  # fmt: skip
    rate = re.search(r"tps = ([0-9.]+)", done)
    assert rate is not None, done
    return float(rate.group(1))


if __name__ == "__main__":
    main()
