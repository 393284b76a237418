"""The DAGs run for real, by `airflow dags test` in Airflow's environment, with separate records."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from rowguard.settings import PROJECT_ROOT
from tests.db.lifecycle.models import train_small
from tests.fix_database import PATIENT_GATES, Workspace
from trainer.retrain import deploy

BIN = PROJECT_ROOT / ".venv-airflow" / "bin"
RETRAIN = "fraud_model_retrain_pipeline"
SIMULATE = "simulate_transactions"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BIN / "airflow").exists(),
        reason="Airflow is not installed: there is no .venv-airflow (make airflow-env)",
    ),
    pytest.mark.timeout(3_000),
]


class Airflow:
    """Airflow with a separate home; `dags test` runs every task in one process."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.run("db", "migrate")

    def environment(self, workspace: Workspace | None = None) -> dict[str, str]:
        foreign = ("AIRFLOW", "ROWGUARD_", "DATABASE_URL", "POOLED_DATABASE_URL")
        theirs = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        theirs |= {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT_ROOT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600",  # a busy machine takes its time
            "NO_COLOR": "1",
        }
        if workspace is not None:
            theirs |= {
                "DATABASE_URL": workspace.url,
                "ROWGUARD_STATE_DIR": str(workspace.settings.state_dir),
                "ROWGUARD_MODELS_DIR": str(workspace.settings.models_dir),
                **PATIENT_GATES,
            }
        return theirs

    def run(
        self,
        *arguments: str,
        workspace: Workspace | None = None,
        fails: bool = False,
        extra: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [BIN / "airflow", *arguments],
            cwd=self.home.parent,
            env=self.environment(workspace) | dict(extra or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
        )
        assert fails or done.returncode == 0, done.stdout[-6000:]
        return done

    def test(
        self,
        dag: str,
        workspace: Workspace,
        params: Mapping[str, Any] | None = None,
        *,
        fails: bool = False,
        extra: Mapping[str, str] | None = None,
    ) -> Run:
        """One run of a DAG; `extra` are environment variables."""
        conf = ["--conf", json.dumps(params)] if params else []
        done = self.run("dags", "test", dag, *conf, workspace=workspace, fails=fails, extra=extra)
        with sqlite3.connect(self.home / "airflow.db") as records:
            run_id, state = records.execute(
                "SELECT run_id, state FROM dag_run WHERE dag_id = ? ORDER BY id DESC LIMIT 1", (dag,)
            ).fetchone()
            tasks = dict(
                records.execute(
                    "SELECT task_id, state FROM task_instance WHERE run_id = ?", (run_id,)
                ).fetchall()
            )
            results = records.execute(
                "SELECT task_id, value FROM xcom WHERE run_id = ? AND key = 'return_value'", (run_id,)
            ).fetchall()
        return Run(state, tasks, {task: _json(value) for task, value in results}, done.stdout)


class Run:
    """How a run ended: states of the run and its tasks, the tasks' results, all logs."""

    def __init__(self, state: str, tasks: dict[str, str | None], results: dict[str, Any], log: str) -> None:
        self.state, self.tasks, self.results, self.log = state, tasks, results, log


def _json(value: Any) -> Any:
    decoded = json.loads(value) if isinstance(value, str | bytes) else value
    return json.loads(decoded) if isinstance(decoded, str) else decoded


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    return Airflow(tmp_path_factory.mktemp("airflow") / "home")


def champion(workspace: Workspace) -> str | None:
    with workspace.connect() as connection:
        row = connection.execute("SELECT version FROM scoring.models WHERE state = 'champion'").fetchone()
    return row[0] if row else None


def in_airflow(airflow: Airflow, code: str) -> str:
    """What a few lines print in Airflow's environment, the DAG files importable."""
    done = subprocess.run(
        [BIN / "python", "-c", code],
        env=airflow.environment() | {"PYTHONPATH": str(PROJECT_ROOT / "dags")},
        cwd=airflow.home.parent,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_three_nights(airflow: Airflow, scored: Workspace) -> None:
    """A new champion; the same data again; a candidate that a gate rejects. Each night ends with the monitor."""
    # A weak champion, so that the first night's candidate is better beyond doubt.
    before = train_small(scored, 1)
    deploy(scored.url, scored.settings, before, force=True)

    first = airflow.test(RETRAIN, scored, {"from": _days_of_history(scored, skip=1)})
    assert first.tasks == dict.fromkeys(
        ["refresh_features", "train", "gate", "deploy", "verify", "monitor"], "success"
    )
    assert first.state == "success"
    new = champion(scored)
    assert new != before
    assert first.results["train"]["version"] == new
    assert first.results["gate"]["passed"] is True
    assert first.results["deploy"] == {**first.results["deploy"], "champion": new, "previous": before}
    assert first.results["deploy"]["parity_differences"] == 0
    assert first.results["verify"]["is_ok"] is True
    assert all(len(json.dumps(result)) < 4_000 for result in first.results.values())

    second = airflow.test(RETRAIN, scored, {"from": _days_of_history(scored, skip=1)})
    assert second.state == "success"
    assert second.tasks["train"] == "success"
    assert second.tasks["gate"] == "skipped"
    assert "success" not in (second.tasks["deploy"], second.tasks["verify"])
    assert second.tasks["monitor"] == "success"
    assert f"no new model: {new} is the champion already" in second.log
    assert champion(scored) == new

    strict = {"ROWGUARD_GATE_MIN_FRAUDS": "100000"}
    third = airflow.test(RETRAIN, scored, {"days": 38}, extra=strict)
    assert third.tasks["gate"] == "success"
    assert third.results["gate"]["passed"] is False
    assert "fewer than 100,000" in third.results["gate"]["reasons"][0]
    assert third.tasks["monitor"] == "success"
    assert third.tasks["deploy"] == "skipped"
    assert "deploy" not in third.results
    assert third.state == "success"
    assert "was rejected: " in third.log
    assert champion(scored) == new


def _days_of_history(workspace: Workspace, *, skip: int) -> str:
    """A day shortly after the history begins: another window, so another forest."""
    with workspace.connect() as connection:
        row = connection.execute(
            "SELECT (min(occurred_at) + make_interval(days => %s))::date::text FROM transactions", (skip,)
        ).fetchone()
    assert row is not None
    return str(row[0])


def test_nothing_to_train_on_fails_at_once(airflow: Airflow, migrated: Workspace) -> None:
    run = airflow.test(RETRAIN, migrated, fails=True)
    assert run.state == "failed"
    assert run.tasks["refresh_features"] == "success"
    assert run.tasks["train"] == "failed", "it is not to be tried again"
    assert champion(migrated) is None


def test_live_transactions(airflow: Airflow, scored: Workspace) -> None:
    run = airflow.test(SIMULATE, scored, {"count": 10, "users": 300, "merchants": 120, "seed": 5})
    assert run.state == "success"
    assert run.results["insert"]["rows"] == 10
    assert run.results["insert"]["unscored"] == 0
    with scored.connect() as connection:
        rows = connection.execute("SELECT count(*) FROM transactions WHERE NOT is_history").fetchone()
    assert rows == (10,)


def test_a_malformed_day_starts_nothing(airflow: Airflow, migrated: Workspace) -> None:
    done = airflow.run(
        "dags", "test", RETRAIN, "--conf", '{"to": "tomorrow"}', workspace=migrated, fails=True
    )
    assert done.returncode != 0
    assert "tomorrow" in done.stdout


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        ("DatabaseUnavailableError", "DatabaseUnavailableError"),
        ("GateError", "AirflowSkipException"),
        ("TrainingDataError", "AirflowFailException"),
        ("ParityError", "AirflowFailException"),
    ],
)
def test_only_what_passes_is_tried_again(airflow: Airflow, raised: str, becomes: str) -> None:
    shown = in_airflow(
        airflow,
        f"""
import os, rowguard.errors, {RETRAIN} as dags
os.environ["DATABASE_URL"] = "postgresql://user@127.0.0.1:1/none"
try:
    with dags._target():
        raise rowguard.errors.{raised}("why")
except Exception as error:
    print(type(error).__name__, error)
""",
    )
    assert shown.splitlines()[-1] == f"{becomes} why"


def test_options_in_the_container_files_are_airflows(airflow: Airflow) -> None:
    """Airflow ignores a misspelled option silently."""
    compose = yaml.safe_load((PROJECT_ROOT / "deploy" / "compose.yaml").read_text())
    given = set(compose["services"]["airflow"]["environment"])
    given |= set(re.findall(r"AIRFLOW__\w+", (PROJECT_ROOT / "deploy" / "images" / "Dockerfile").read_text()))
    options = [name.split("__")[1:] for name in given if name.startswith("AIRFLOW__")]
    shown = in_airflow(
        airflow,
        f"""
from airflow.configuration import conf
known = conf.configuration_description
print([one for one in {options} if one[1].lower() not in known[one[0].lower()]["options"]])
""",
    )
    assert options
    assert shown.splitlines()[-1] == "[]"
