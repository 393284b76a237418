"""Champions swapped while clients insert at full speed: failures, mixed rows, latency.

`python -m benchmarks.model_swaps.run --swaps 20 --clients 4` prints one JSON document. The first swaps deploy models
that no connection has called yet (the expensive case), every second one as a challenger with a canary that is then
promoted. The others roll back and forward along the champions. A private server, the default forest. Compare ratios,
not times.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from pydantic import SecretStr

from rowguard.local import PostgresServer, find_postgres_binaries
from rowguard.operations.importer import load_history, load_reference
from rowguard.settings import Settings
from simulator import SimulationConfig, simulate
from sql_scoring import registry
from sql_scoring.deployment.migrate import migrate
from trainer.forest import ForestParameters
from trainer.gates import evaluate_gates
from trainer.retrain import deploy, promote, retrain, roll_forward, rollback
from trainer.training import train

INSERT = """\\set user random(1, {users})
\\set cents random(100, 90000)
INSERT INTO transactions (user_id, amount, merchant_id, location) VALUES (:user, :cents / 100.0, 7, 'DE')
RETURNING transaction_id, fraud_flag;
"""
AFTER_SWAP_S = 1.0  # within this time the connections make the new function's first call


@dataclass(frozen=True)
class Latencies:
    """When each insert ended (seconds since the epoch) and how long it took (milliseconds)."""

    ended: NDArray[np.float64]
    took: NDArray[np.float64]

    def summary(self) -> dict[str, float]:
        """Rows, median, 99th percentile, slowest."""
        return {
            "inserts": len(self.took),
            "median_ms": round(float(np.median(self.took)), 3),
            "p99_ms": round(float(np.quantile(self.took, 0.99)), 3),
            "slowest_ms": round(float(self.took.max()), 1),
        }


def main() -> None:
    """Prepare, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--models", type=int, default=6, help="swaps that deploy a new model")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--quiet-seconds", type=int, default=20)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between swaps")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rowguard-swaps-") as folder:
        Path(folder).chmod(0o711)
        server = PostgresServer(Path(folder) / "postgres", durable=True)
        try:
            url = server.ensure_running()
            settings = Settings(
                database_url=SecretStr(url),
                state_dir=Path(folder) / "state",
                models_dir=Path(folder) / "models",
                keep_versions=50,
                _env_file=None,
            )
            versions = prepare(url, settings, min(options.models, options.swaps))
            report = run(
                url, settings, versions, options.swaps, options.clients, options.quiet_seconds, options.pause
            )
        finally:
            server.destroy()
    print(json.dumps(report, indent=2))


def prepare(
    url: str,
    settings: Settings,
    models: int,
    *,
    world: SimulationConfig = SimulationConfig(users=1_000, merchants=400, days=45),
    parameters: ForestParameters = ForestParameters(),
) -> list[str]:
    """Load a history, deploy a champion, and train `models` candidates with different seeds."""
    migrate(url, settings)
    history = simulate(world)
    load_reference(url, history.users.to_batches(), "users")
    load_history(
        url,
        history.transactions.drop_columns(["scenario"]).to_batches(65_536),
        label_delay=timedelta(days=settings.label_delay_days),
        source="simulator",
    )
    retrain(url, settings)
    return [train_seed(url, settings, parameters, seed) for seed in range(1, models + 1)]


def train_seed(url: str, settings: Settings, parameters: ForestParameters, seed: int) -> str:
    """Train a candidate with another seed."""
    return train(url, settings, parameters=replace(parameters, random_state=seed)).version


def run(
    url: str,
    settings: Settings,
    versions: list[str],
    swaps: int,
    clients: int,
    quiet_seconds: float,
    pause: float,
    *,
    users: int = 1_000,
) -> dict[str, Any]:
    """Measure without swaps, then with them, then replay every row.

    Args:
        url: The owner's connection.
        settings: Where artifacts and generated revisions are.
        versions: Candidates, deployed in turn.
        swaps: Number of swaps; those past the candidates roll back and forward.
        clients: Sessions that insert.
        quiet_seconds: Length of the measurement without swaps.
        pause: Seconds between swaps.
        users: Number of users that the clients insert for.

    Returns:
        Latencies without, during and between swaps, failures, and counts of the replayed rows.
    """
    # The gates run before the measurement.
    for version in versions:
        evaluate_gates(url, settings, version, as_challenger=True)
    load = Load(url, clients, users)
    load.start()
    _wait_for_rows(url)
    time.sleep(2)  # warm
    quiet_from = time.time()
    time.sleep(quiet_seconds)
    quiet_to = time.time()
    windows = []
    for number in range(swaps):
        started = time.time()
        if number < len(versions):
            if number % 2:
                deploy(url, settings, versions[number], role="challenger", canary_percent=20, force=True)
                promote(url, settings)
            else:
                deploy(url, settings, versions[number], force=True)
        elif (number - len(versions)) // len(versions) % 2 == 0:
            rollback(url, settings)
        else:
            roll_forward(url, settings)
        windows.append((started, time.time() + AFTER_SWAP_S))
        time.sleep(max(pause, AFTER_SWAP_S))
    swapped_to = time.time()
    failures = load.stop()
    latencies = load.latencies()
    quiet = within(latencies, [(quiet_from, quiet_to)])
    during = within(latencies, windows)
    whole = within(latencies, [(quiet_to, swapped_to)])
    return {
        "swaps": swaps,
        "clients": clients,
        "failed_clients": failures,
        "quiet": quiet.summary(),
        "during_swaps": during.summary(),
        "whole_time_of_swaps": whole.summary(),
        "p99_ratio": round(whole.summary()["p99_ms"] / quiet.summary()["p99_ms"], 2),
        "rows": check_rows(url),
    }


def _wait_for_rows(url: str) -> None:
    """Wait until the clients insert, which takes a while on a busy machine."""
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(1_200):
            row = connection.execute("SELECT count(*) FROM transactions WHERE NOT is_history").fetchone()
            if row is not None and row[0] > 0:
                return
            time.sleep(0.1)


class Load:
    """pgbench with a log of every transaction; a failed insert ends its client, and that is counted."""

    def __init__(self, url: str, clients: int, users: int) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="rowguard-load-")
        script = Path(self.folder.name, "insert.sql")
        script.write_text(INSERT.format(users=users))
        self.command = [
            str(find_postgres_binaries() / "pgbench"), "--no-vacuum", "--protocol=prepared", f"--file={script}",
            "--time=86400", f"--client={clients}", "--jobs=1", "--log", f"--log-prefix={self.folder.name}/log", url,
        ]  # fmt: skip
        self.errors: list[str] = []

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if "error:" in line or "aborted" in line:
                self.errors.append(line.strip())

    def stop(self) -> list[str]:
        """Stop pgbench; returns its error messages."""
        ended = self.process.poll()
        self.process.terminate()
        self.process.wait()
        self.reader.join(timeout=5)
        return self.errors + ([f"pgbench ended early with {ended}"] if ended is not None else [])

    def latencies(self) -> Latencies:
        """Latencies of all finished transactions; the last line of a log may be truncated."""
        ended, took = [], []
        for path in Path(self.folder.name).glob("log.*"):
            for line in path.read_text().splitlines()[:-1]:
                words = line.split()
                if len(words) >= 6 and words[2].isdigit():
                    ended.append(int(words[4]) + int(words[5]) / 1e6)
                    took.append(int(words[2]) / 1000)
        return Latencies(np.array(ended), np.array(took))


def within(latencies: Latencies, windows: list[tuple[float, float]]) -> Latencies:
    """The transactions that overlap any window."""
    started = latencies.ended - latencies.took / 1000
    mask = np.zeros(len(latencies.took), bool)
    for start, end in windows:
        mask |= (latencies.ended >= start) & (started <= end)
    return Latencies(latencies.ended[mask], latencies.took[mask])


def check_rows(url: str) -> dict[str, int]:
    """Replay every live row: its version's function on its feature_values, and its version's threshold."""
    result = {"rows": 0, "unscored": 0, "not_reproducible": 0, "wrong_flag": 0, "versions": 0}
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE model_version IS NULL) FROM transactions WHERE NOT is_history"
        ).fetchone()
        assert row is not None
        result["rows"], result["unscored"] = row
        for record in registry.list_models(connection):
            if not registry.function_exists(connection, record.function_name):
                continue
            name = sql.SQL(".").join(sql.Identifier(part) for part in record.function_name.split("."))
            counted = connection.execute(
                sql.SQL(
                    "SELECT count(*),"
                    " count(*) FILTER (WHERE {}(feature_values) IS DISTINCT FROM fraud_probability),"
                    " count(*) FILTER (WHERE (fraud_flag = 'FRAUD') <> (fraud_probability >= %(threshold)s))"
                    " FROM transactions WHERE model_version = %(version)s AND NOT is_history"
                ).format(name),
                {"threshold": record.threshold, "version": record.version},
            ).fetchone()
            assert counted is not None
            result["versions"] += counted[0] > 0
            result["not_reproducible"] += counted[1]
            result["wrong_flag"] += counted[2]
    return result


if __name__ == "__main__":
    main()
