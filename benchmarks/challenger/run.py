"""What a second opinion costs an INSERT: no challenger, a challenger, a canary, and no trigger for it at all.

`run.py SECONDS ROUNDS` prints one JSON document: microseconds an INSERT (one client, prepared, median over rounds),
and ratios to "no challenger". The variants run in turn, round after round, so that a slow minute of the machine hits
all of them.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

import psycopg
from pydantic import SecretStr

from benchmarks.inserts.run import inserts_per_second
from benchmarks.model_swaps.run import prepare
from rowguard.database import connect
from rowguard.local import PostgresServer
from rowguard.settings import Settings
from sql_scoring import deployment as deploy
from sql_scoring import registry
from sql_scoring.engine import boundary_rows
from trainer.artifact import artifact_path, load_artifact
from trainer.dataset import read_feature_list

VARIANTS = ("no trigger", "no challenger", "challenger", "canary 50 %")


def main() -> None:
    """Prepare, measure, print."""
    seconds, rounds = int(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="rowguard-challenger-") as folder:
        Path(folder).chmod(0o711)
        server = PostgresServer(Path(folder) / "postgres", durable=True)
        try:
            url = server.ensure_running()
            settings = Settings(
                database_url=SecretStr(url),
                state_dir=Path(folder) / "state",
                models_dir=Path(folder) / "models",
                _env_file=None,
            )
            (challenger,) = prepare(url, settings, 1)
            seen: dict[str, list[float]] = {name: [] for name in VARIANTS}
            for _ in range(rounds):
                for name in VARIANTS:
                    arrange(url, settings, challenger, name)
                    seen[name].append(1e6 / inserts_per_second(url, "transactions", 1, "off", seconds))
        finally:
            server.destroy()
    base = statistics.median(seen["no challenger"])
    report = {
        name: {
            "us": round(statistics.median(taken), 1),
            "ratio": round(statistics.median(taken) / base, 3),
            "fastest_us": round(min(taken), 1),
            "slowest_us": round(max(taken), 1),
        }
        for name, taken in seen.items()
    }
    print(json.dumps(report, indent=2))


def arrange(url: str, settings: Settings, version: str, variant: str) -> None:
    """Bring the database into the variant, from whichever it is in."""
    with psycopg.connect(url, autocommit=True) as connection:
        state = "DISABLE" if variant == "no trigger" else "ENABLE"
        connection.execute(f"ALTER TABLE transactions {state} TRIGGER shadow_on_insert".encode())
    with connect(url) as connection:
        is_tried = registry.challenger_version(connection) is not None
        record = registry.get_model(connection, version)
        features = read_feature_list(connection)
    if variant in ("no trigger", "no challenger"):
        if is_tried:
            deploy.withdraw_challenger(url, settings.models_dir)
        return
    forest = load_artifact(artifact_path(settings.state_dir, version), record.artifact_sha256)
    deploy.deploy_challenger(
        url,
        settings.models_dir,
        version,
        forest,
        boundary_rows(forest, 100, seed=0),
        built_feature_hash=features.hash,
        canary_percent=50 if variant.startswith("canary") else 0,
    )


if __name__ == "__main__":
    main()
