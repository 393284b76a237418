"""Runs dbt on the feature project in a child process: dbt keeps global state, and two runs in one process fail."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from psycopg.conninfo import conninfo_to_dict

from rowguard.errors import FeatureBuildError
from rowguard.settings import Settings
from sql_scoring.features.project import FeatureProject, write_project

# The parsed project is kept between runs: parsing is half of dbt's start.
_PARSED = "partial_parse.msgpack"

OnNode = Callable[[str, str], None]


@dataclass(frozen=True)
class FeatureBuild:
    """What a dbt run did.

    Attributes:
        passed: nodes that succeeded.
        failed: nodes that failed.
        skipped: nodes that were left out because another one failed.
        seconds: dbt's own time, without its start.
        nodes: seconds per node, by dbt's unique id.
        reasons: why nodes failed, one line each, in the order of the run.
        warnings: what the built features lack, one line each.
    """

    passed: int
    failed: int
    skipped: int
    seconds: float
    nodes: dict[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def run_dbt(
    arguments: Sequence[str],
    url: str,
    settings: Settings,
    *,
    variables: Mapping[str, object] = MappingProxyType({}),
    on_node: OnNode | None = None,
    project: FeatureProject | None = None,
) -> FeatureBuild:
    """Run one dbt command.

    Args:
        arguments: the command and its options, such as `["build", "--full-refresh"]`.
        url: the database.
        settings: where dbt keeps its state, and the feature list.
        variables: of the project, such as `{"rebuild_from": "2026-03-01"}`.
        on_node: called with `(name, status)` of each finished node.
        project: the dbt project; None writes that of the settings.

    Returns:
        What the run did.

    Raises:
        FeatureBuildError: the feature list is invalid, or dbt failed; the message holds the first reason.
    """
    project = project or write_project(settings)
    target = settings.state_dir / "dbt" / f"run-{uuid.uuid4().hex[:8]}"
    target.mkdir(parents=True)
    parsed = project.folder.with_suffix(".msgpack")
    if parsed.exists():
        shutil.copyfile(parsed, target / _PARSED)
    process = subprocess.Popen(
        [
            str(Path(sys.executable).with_name("dbt")),
            *("--no-version-check", "--no-use-colors", "--log-format", "json"),
            *("--log-path", str(target / "logs")),
            *arguments,
            *("--vars", json.dumps(dict(variables))),
            *("--project-dir", str(project.folder), "--profiles-dir", str(project.folder)),
            *("--target-path", str(target)),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **profile_variables(url), "ROWGUARD_SCHEMA": settings.schema_name},
    )
    reasons: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        _read_log_line(line, reasons, on_node)
    code = process.wait()
    result = _read_results(target / "run_results.json")
    if code != 0 or result.failed:
        reasons = [*result.reasons, *reasons, f"exit {code}"]
        raise FeatureBuildError(f"dbt {arguments[0]} failed: {reasons[0]}")
    if (target / _PARSED).exists():
        os.replace(target / _PARSED, parsed)
    shutil.rmtree(target, ignore_errors=True)
    return result


def profile_variables(url: str) -> dict[str, str]:
    """Return the environment variables that dbt/profiles.yml reads.

    Args:
        url: the database.

    Returns:
        Variables by name; dbt scrubs those named DBT_ENV_SECRET from its logs.
    """
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


def _read_log_line(line: str, reasons: list[str], on_node: OnNode | None) -> None:
    try:
        event = json.loads(line)
    except ValueError:
        if line.strip():
            reasons.append(line.strip())
        return
    info = event.get("info", {})
    if info.get("level") == "error" and info.get("msg"):
        text = _one_reason(str(info["msg"]))
        if not text.startswith(("Completed with", "Done.", "Encountered an error")) or len(text) > 40:
            reasons.append(text)
    node = event.get("data", {}).get("node_info") or {}
    if on_node and node.get("node_finished_at"):
        on_node(str(node.get("node_name")), str(node.get("node_status")))


def _read_results(path: Path) -> FeatureBuild:
    if not path.exists():
        return FeatureBuild(0, 0, 0, 0.0)
    document = json.loads(path.read_text())
    statuses = [result["status"] for result in document["results"]]
    failed = [
        result for result in document["results"] if result["status"] in ("error", "fail", "runtime error")
    ]
    return FeatureBuild(
        passed=sum(status in ("success", "pass") for status in statuses),
        failed=len(failed),
        skipped=statuses.count("skipped"),
        seconds=float(document.get("elapsed_time", 0.0)),
        nodes={result["unique_id"]: float(result["execution_time"]) for result in document["results"]},
        reasons=tuple(
            f"{result['unique_id'].split('.')[2]}: {_one_reason(str(result['message']))}" for result in failed
        ),
    )


def _one_reason(message: str) -> str:
    """Return the cause as one line, without dbt's heading, its stack of macros and the file that it compiled."""
    text = re.sub(r"\A\w+ Error in .+\n|> (in macro|called by) [\s\S]*|compiled code at .*", "", message)
    return " ".join(text.split())
