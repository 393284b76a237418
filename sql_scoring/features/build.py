"""Runs dbt on the feature project, in a process of its own (dbt keeps global state; two runs in one fail)."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import IsolationLevel
from psycopg.conninfo import conninfo_to_dict

from rowguard.database import connect
from rowguard.errors import FeatureBuildError
from rowguard.queries import load_queries
from rowguard.settings import PROJECT_ROOT, Settings
from sql_scoring.features.totals import settle_totals

QUERIES = load_queries("sql_scoring")

_log = logging.getLogger(__name__)
PROJECT_DIR = PROJECT_ROOT / "dbt"
# Unit tests try the macros on rows of their own, whatever is stored: they belong to changes of the project.
NIGHTLY = ["build", "--exclude-resource-type", "unit_test"]


@dataclass(frozen=True)
class FeatureBuild:
    """What a dbt run did: how many nodes ended how, and how long it took.

    `seconds` is dbt's own time without its start; `nodes` are the seconds of each node by dbt's id of it.
    """

    passed: int
    failed: int
    skipped: int
    seconds: float
    nodes: dict[str, float] = field(default_factory=dict)


def build_features(
    url: str,
    settings: Settings,
    *,
    full_refresh: bool = False,
    on_node: Callable[[str, str], None] | None = None,
    progress: Callable[[str], None] = _log.warning,
) -> FeatureBuild:
    """Settle the users' running totals, then `dbt build` against the database at `url`; `on_node(name, status)` hears
    of each finished node. One run at a time: another one waits, and says so to `progress`.

    Raises:
        FeatureBuildError: dbt refused the feature list, or a model or a data test failed; says which.
    """
    arguments = [*NIGHTLY, "--full-refresh"] if full_refresh else NIGHTLY
    with _only_run(url, progress):
        settle_totals(url)
        return run_dbt(arguments, url, settings, on_node=on_node)


@contextmanager
def _only_run(url: str, progress: Callable[[str], None]) -> Iterator[None]:
    """Two at once would meet in the views and functions that dbt replaces (`tuple concurrently updated`)."""
    with connect(url) as connection:
        connection.isolation_level = IsolationLevel.READ_COMMITTED  # holds no snapshot between statements
        row = connection.execute(QUERIES["try_lock_features"]).fetchone()
        if not (row and row[-1]):
            progress("waiting for another run of the features to end")
            connection.execute(QUERIES["lock_features"])
            progress("building features, the other run has ended")
        try:
            yield
        finally:
            # The build counts even when this connection was lost meanwhile.
            with suppress(psycopg.Error):
                connection.rollback()
            connection.close()


def run_dbt(
    arguments: list[str],
    url: str,
    settings: Settings,
    *,
    on_node: Callable[[str, str], None] | None = None,
) -> FeatureBuild:
    """Runs one dbt command and reads its log as JSON lines.

    Raises:
        FeatureBuildError: it failed; the message holds dbt's own first reason.
    """
    target = settings.state_dir / "dbt" / f"run-{uuid.uuid4().hex[:8]}"
    target.mkdir(parents=True)
    # The parsed project is kept between runs: parsing is half of dbt's start.
    kept = settings.state_dir / "dbt" / "partial_parse.msgpack"
    if kept.exists():
        (target / kept.name).write_bytes(kept.read_bytes())
    command = [
        str(Path(sys.executable).with_name("dbt")),
        "--no-version-check",
        "--no-use-colors",
        "--log-format",
        "json",
        "--log-path",
        str(target / "logs"),
        *arguments,
        "--project-dir",
        str(PROJECT_DIR),
        "--profiles-dir",
        str(PROJECT_DIR),
        "--target-path",
        str(target),
    ]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            **os.environ,
            **profile_variables(url),
            "ROWGUARD_LABEL_DELAY_DAYS": str(settings.label_delay_days),
        },
    )
    reasons: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        _read_log_line(line, reasons, on_node)
    code = process.wait()
    build = _read_results(target)
    if code != 0 or build.failed:
        raise FeatureBuildError(
            "dbt " + arguments[0] + " failed: " + (reasons[0] if reasons else f"exit {code}")
        )
    _keep(target / kept.name, kept)
    shutil.rmtree(target, ignore_errors=True)
    return build


def profile_variables(url: str) -> dict[str, str]:
    """The variables of dbt/profiles.yml; dbt scrubs those named DBT_ENV_SECRET from its logs."""
    options = conninfo_to_dict(url)
    variables = {
        "ROWGUARD_DBT_HOST": str(options.get("host", "127.0.0.1")),
        "ROWGUARD_DBT_PORT": str(options.get("port", "5432")),
        "ROWGUARD_DBT_USER": str(options.get("user", "")),
        "ROWGUARD_DBT_DBNAME": str(options.get("dbname", options.get("user", ""))),
    }
    if options.get("password"):
        variables["DBT_ENV_SECRET_ROWGUARD_PASSWORD"] = str(options["password"])
    for name in ("sslrootcert", "sslcert", "sslkey"):
        # dbt's driver is libpq underneath, which reads these itself.
        if options.get(name):
            variables[f"PG{name.upper()}"] = str(options[name])
    if options.get("sslmode"):
        variables["ROWGUARD_DBT_SSLMODE"] = str(options["sslmode"])
    return variables


def _read_log_line(line: str, reasons: list[str], on_node: Callable[[str, str], None] | None) -> None:
    try:
        event = json.loads(line)
    except ValueError:
        if line.strip():
            reasons.append(line.strip())
        return
    info = event.get("info", {})
    if info.get("level") == "error" and info.get("msg"):
        text = " ".join(str(info["msg"]).split())
        if not text.startswith(("Completed with", "Done.", "Encountered an error")) or len(text) > 40:
            reasons.append(text)
    node = event.get("data", {}).get("node_info") or {}
    if on_node and node.get("node_finished_at"):
        on_node(str(node.get("node_name")), str(node.get("node_status")))


def _read_results(target: Path) -> FeatureBuild:
    path = target / "run_results.json"
    if not path.exists():
        return FeatureBuild(0, 0, 0, 0.0)
    document = json.loads(path.read_text())
    statuses = [result["status"] for result in document["results"]]
    return FeatureBuild(
        passed=sum(status in ("success", "pass") for status in statuses),
        failed=sum(status in ("error", "fail", "runtime error") for status in statuses),
        skipped=sum(status == "skipped" for status in statuses),
        seconds=float(document.get("elapsed_time", 0.0)),
        nodes={result["unique_id"]: float(result["execution_time"]) for result in document["results"]},
    )


def _keep(new: Path, kept: Path) -> None:
    if new.exists():
        os.replace(new, kept)
