"""rowguard's API against the classic service: requests a second, latency, errors, memory; and under overload.

Both services use one durable private PostgreSQL with the same forest, each with a separate database of the same
content. They are loaded in turn, round after round; what is reported are medians over the rounds. The load
generator, the services and the database share the machine's cores, so compare ratios and not times.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import joblib
import psycopg

from benchmarks.api.services import Service, free_port, running
from benchmarks.inserts.run import USERS, prepare
from rowguard.local import PgBouncer, PostgresServer
from sql_scoring.registry import champion_version, get_model
from trainer.artifact import artifact_path, load_artifact

CONNECTIONS = (1, 10, 50)
CLASSIC_DATABASE = "classic"
KINDS = ("predict", "transactions")
OVERLOAD_CONNECTIONS = 1_000
SECRET = "benchmark-benchmark-benchmark-benchmark"
CHECKED = 200


def main() -> None:
    """Prints one JSON document, or tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=6.0, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1, help="worker processes of each service")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--folder", type=Path, help="keep the databases here and use them again")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = given.folder
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rowguard-bench-")))
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)
        with services(folder.absolute(), given.workers, keep=given.folder is not None) as (classic, ours):
            document = {
                "workers": given.workers,
                "different_scores": compare(classic, ours),
                "load": measure((classic, ours), given.seconds, given.rounds),
                "overload": overload(ours, given.seconds),
            }
    print(markdown(document) if given.markdown else json.dumps(document, indent=2))


@contextmanager
def services(folder: Path, workers: int, *, keep: bool = False) -> Iterator[tuple[Service, Service]]:
    """Both services before databases of equal content; ours through PgBouncer where it is installed."""
    with ExitStack() as stack:
        server = PostgresServer(folder / "postgres", durable=True)
        pgbouncer = PgBouncer(folder / "pgbouncer", server)
        stack.callback(server.stop if keep else server.destroy)
        stack.callback(pgbouncer.stop if keep else pgbouncer.destroy)
        url = server.ensure_running()
        classic_url = server.url_for(CLASSIC_DATABASE)
        if not (folder / "forest.joblib").exists():
            prepare(url, folder)
            server.create_database(CLASSIC_DATABASE, template=url.rpartition("/")[2])
            with psycopg.connect(classic_url, autocommit=True) as connection:
                connection.execute("ALTER TABLE transactions DISABLE TRIGGER USER")
                connection.execute("VACUUM ANALYZE")
                export_model(connection, folder)
        pooled_url = pgbouncer.ensure_running()
        port = free_port()
        classic = stack.enter_context(
            running(
                "classic",
                [
                    sys.executable, "-m", "uvicorn", "benchmarks.api.baseline_service:app", "--port", str(port),
                    "--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning",
                    f"--workers={workers}",
                ],
                port,
                {
                    "CLASSIC_MODEL": str(folder / "forest.joblib"),
                    "CLASSIC_DATABASE_URL": classic_url,
                },
                folder / "classic.log",
            )
        )  # fmt: skip
        port = free_port()
        environment = {
            "DATABASE_URL": url,
            "ROWGUARD_STATE_DIR": str(folder / "state"),
            "ROWGUARD_MODELS_DIR": str(folder / "models"),
            "ROWGUARD_JWT_SECRET": SECRET,
            # Counted as in earnest, and never reached.
            "ROWGUARD_API_RATE_LIMIT": "1000000/second",
            "ROWGUARD_API_MAX_CONNECTIONS_PER_ADDRESS": "2000",
        }
        if pooled_url is not None:
            environment["POOLED_DATABASE_URL"] = pooled_url
        command = [
            sys.executable,
            "-m",
            "rowguard.cli",
            "serve",
            "--port",
            str(port),
            "--workers",
            str(workers),
        ]
        headers = {"authorization": f"bearer {_token()}"}
        ours = stack.enter_context(
            running("rowguard", command, port, environment, folder / "rowguard.log", headers)
        )
        yield classic, ours


def _token() -> str:
    from pydantic import SecretStr

    from api.tokens import SCOPES, mint
    from rowguard.settings import Settings

    return mint(Settings(jwt_secret=SecretStr(SECRET), _env_file=None), "benchmark", SCOPES, 86_400)


def export_model(connection: psycopg.Connection, folder: Path) -> None:
    """The champion as the classic service loads it."""
    version = champion_version(connection)
    assert version is not None
    record = get_model(connection, version)
    forest = load_artifact(artifact_path(folder / "state", version), record.artifact_sha256)
    document = {
        "forest": forest,
        "names": record.feature_names,
        "threshold": record.threshold,
        "version": version,
        "feature_function": f"live_feature_values_{record.feature_hash[:8]}",
    }
    joblib.dump(document, folder / "forest.joblib")


def compare(classic: Service, ours: Service) -> int:
    """Count the requests with different probabilities; both services have the same forest."""
    from benchmarks.api.services import requests

    asked = requests("predict", USERS)[:CHECKED]
    return sum(
        classic.ask(path, body)["fraud_probability"] != ours.ask(path, body)["fraud_probability"]
        for path, body in asked
    )


def measure(both: tuple[Service, ...], seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Every cell in every round, the services in turn, so that a slow minute of the machine hits both."""
    seen: dict[tuple[str, int, str], list[dict[str, Any]]] = {}
    for _ in range(rounds):
        for kind in KINDS:
            for connections in CONNECTIONS:
                for service in both:
                    print(f"{kind}, {connections} connections, {service.name}", file=sys.stderr)
                    found = service.load(kind, connections, seconds, USERS)
                    seen.setdefault((kind, connections, service.name), []).append(found)
    return [
        {
            "endpoint": f"/{kind}",
            "connections": connections,
            "service": name,
            **{
                measure: statistics.median([one[measure] for one in found])
                for measure in ("per_second", "p50_ms", "p99_ms", "memory_mb")
            },
            "errors": sum(one["errors"] for one in found)
            + sum(one["statuses"].get("503", 0) for one in found),
        }
        for (kind, connections, name), found in seen.items()
    ]


def overload(service: Service, seconds: float) -> list[dict[str, Any]]:
    """Ten times as many connections as requests in flight; none of them waits before it retries."""
    found = []
    for kind in KINDS:
        before = service.memory_mb()
        loaded = service.load(kind, OVERLOAD_CONNECTIONS, seconds, USERS)
        after = service.load(kind, 1, 2.0, USERS)
        found.append(
            {
                "endpoint": f"/{kind}",
                "connections": OVERLOAD_CONNECTIONS,
                **loaded,
                "memory_before_mb": before,
                "p50_ms_afterwards": after["p50_ms"],
                "errors_afterwards": after["errors"],
            }
        )
    return found


def markdown(document: dict[str, Any]) -> str:
    """The tables of docs/notes/api-load.md."""
    lines = [
        "| Endpoint | Connections | Service | Requests/s | p50 ms | p99 ms | Errors | Memory MB | Against classic |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    rates = {(one["endpoint"], one["connections"], one["service"]): one for one in document["load"]}
    for (endpoint, connections, name), one in rates.items():
        classic = rates[endpoint, connections, "classic"]
        ratio = (
            "–"
            if name == "classic"
            else f"{one['per_second'] / classic['per_second']:.1f}× the requests, "
            f"p99 1/{classic['p99_ms'] / one['p99_ms']:.1f}"
        )
        lines.append(
            f"| `{endpoint}` | {connections} | {name} | {one['per_second']:,.0f} | {one['p50_ms']:.2f} "
            f"| {one['p99_ms']:.2f} | {one['errors']} | {one['memory_mb']:.0f} | {ratio} |"
        )
    lines += [
        "",
        "| Overload | Connections | Served/s | Refused with 503/s | Without Retry-After | Other errors "
        "| p50 ms served | p99 ms served | Memory MB before, after | p50 ms alone afterwards |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{one['endpoint']}` | {one['connections']:,} | {one['per_second']:,.0f} "
        f"| {one['refused_per_second']:,.0f} | {one['refused_without_retry_after']} | {one['errors']} "
        f"| {one['p50_ms'] or 0:.1f} | {one['p99_ms'] or 0:.1f} "
        f"| {one['memory_before_mb']:.0f}, {one['memory_mb']:.0f} "
        f"| {one['p50_ms_afterwards'] or 0:.2f} |"
        for one in document["overload"]
    ]
    lines += [
        "",
        f"Scores that differ between the two services: {document['different_scores']} of {CHECKED}.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
