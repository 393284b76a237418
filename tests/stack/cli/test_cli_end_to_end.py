"""From scratch to a deployed model, a second one, and back: every command that reports, on the embedded stack."""

from __future__ import annotations

import json
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowguard.local import destroy, find_pgbouncer
from rowguard.settings import Settings
from tests.ports import free_port
from tests.stack.cli.conftest import Run, runner

INSERT = "INSERT INTO transactions (user_id, amount) VALUES (42, 450.75) RETURNING fraud_flag, model_version"
SCORE = (
    "SELECT fraud_probability, flag, model_version FROM score_transaction(user_id => %(user_id)s,"
    " amount => %(amount)s::numeric, merchant_id => %(merchant_id)s, location => %(location)s,"
    " occurred_at => %(occurred_at)s::timestamptz)"
)


class CliScenario:
    """The report of each step, and rows read from the database after it."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.reports: dict[str, Any] = {}
        self.rows: dict[str, Any] = {}

    def run_step(self, name: str, *arguments: str) -> Any:
        self.reports[name] = self.run(*arguments, "--json").document()
        return self.reports[name]


@pytest.fixture(scope="module")
def scenario() -> Iterator[CliScenario]:
    # Unlike pytest's own, this folder can be reached by the account that the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="rowguard-test-"))
    folder.chmod(0o755)
    port = free_port()
    state = folder / ".rowguard"
    try:
        scenario = CliScenario(runner(folder, ROWGUARD_API_PORT=str(port)))
        _run_all(scenario, folder)
        yield scenario
    finally:
        destroy(Settings(database_url=None, pooled_url=None, state_dir=state, api_port=port, _env_file=None))
        shutil.rmtree(folder, ignore_errors=True)


def _run_all(scenario: CliScenario, folder: Path) -> None:
    urls = scenario.run_step("up", "up")
    scenario.run_step("migrate", "migrate")
    # The same seed gives another history on every day. Of 300 users a week has 13 to 33 frauds, and the gates want 10.
    scenario.run_step("simulate", "simulate", "--users", "600", "--days", "45")
    scenario.run_step("retrain", "retrain")
    for name in ("database_url", "pooled_url"):
        if urls[name]:
            scenario.rows[name] = _insert(urls[name])
    scenario.rows["asked"] = _ask(urls)
    scenario.run_step("live", "simulate", "--live", "--count", "60", "--fraud-rate", "0.5")
    (folder / "late.csv").write_text(
        "occurred_at,user_id,amount,is_fraud\n2026-01-01,1,5.00,0\n2026-01-02,1,6,1\n"
    )
    scenario.run_step("import", "import", "late.csv")
    scenario.run_step("features", "features")
    second = scenario.run_step("train", "train", "--alert-budget", "0.02")["version"]
    scenario.run_step("deploy", "deploy", second, "--force")
    scenario.rows["second"] = _insert(urls["database_url"])
    scenario.run_step("rollback", "rollback")
    scenario.rows["rolled back"] = _insert(urls["pooled_url"] or urls["database_url"])
    scenario.run_step("challenger", "deploy", second, "--as", "challenger", "--canary", "100", "--force")
    scenario.rows["canary"] = _insert(urls["database_url"])
    scenario.run_step("with challenger", "status")
    scenario.run_step("retired", "retire-challenger")
    scenario.run_step("control rate", "control-rate", "0.5")
    scenario.run_step("monitor", "monitor", "--report", "report.html")
    scenario.run_step("models", "models")
    scenario.run_step("status", "status")
    scenario.rows["refused"] = scenario.run("simulate", "--users", "20", "--days", "3").refusal()
    scenario.run_step("removed", "simulate", "--remove")
    scenario.run_step("down", "down")
    scenario.run_step("after", "status")


def _insert(url: str) -> Any:
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        return connection.execute(INSERT).fetchone()


def _ask(urls: dict[str, str]) -> tuple[Any, Any]:
    raw = {"user_id": 42, "amount": 450.75, "merchant_id": 7, "location": "DE"}
    raw["occurred_at"] = datetime.now(UTC).isoformat()
    request = urllib.request.Request(
        f"{urls['api_url']}/predict", json.dumps(raw).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        over_http = json.load(answer)
    with psycopg.connect(urls["database_url"]) as connection:
        in_sql = connection.execute(SCORE, raw).fetchone()
    return tuple(over_http[name] for name in ("fraud_probability", "flag", "model_version")), in_sql


def test_up_reports_all_addresses(scenario: CliScenario) -> None:
    up = scenario.reports["up"]
    assert up["database_url"].startswith("postgresql://") and up["api_url"].startswith("http://127.0.0.1:")
    assert (up["pooled_url"] is not None) == (find_pgbouncer() is not None)
    assert up["champion"] is None


def test_migrate_reports_the_features_and_revisions(scenario: CliScenario) -> None:
    assert scenario.reports["migrate"]["dbt_nodes"] > 0
    assert scenario.reports["migrate"]["model_revisions_applied"] == 0


def test_simulate_reports_what_it_loaded(scenario: CliScenario) -> None:
    report = scenario.reports["simulate"]
    assert report["users"] == 600 and 0 < report["frauds"] < report["transactions"]


def test_retrain_trains_compares_and_deploys(scenario: CliScenario) -> None:
    report = scenario.reports["retrain"]
    assert report["is_new"] and report["rows"] > report["frauds"] > 0 and report["nodes"] > 0
    assert {"auc", "average_precision", "precision", "recall"} <= set(report["metrics"])
    assert Path(report["model_card"]).name == "model_card.md"
    deployment = report["deployment"]
    assert deployment["champion"] == report["version"] and deployment["previous"] is None
    assert deployment["parity_rows"] > 0 and deployment["parity_differences"] == 0


def test_inserts_are_decided_directly_and_through_the_pooler(scenario: CliScenario) -> None:
    version = scenario.reports["retrain"]["version"]
    for name in ("database_url", "pooled_url"):
        if scenario.reports["up"][name]:
            flag, model = scenario.rows[name]
            assert flag in ("FRAUD", "LEGITIMATE") and model == version


def test_predict_and_score_transaction_agree_bit_for_bit(scenario: CliScenario) -> None:
    over_http, in_sql = scenario.rows["asked"]
    assert over_http == in_sql and in_sql[2] == scenario.reports["retrain"]["version"]


def test_a_live_stream_is_compared_with_the_labels(scenario: CliScenario) -> None:
    live = scenario.reports["live"]
    assert live["rows"] == 60 and live["unscored"] == 0
    assert live["true_positives"] + live["false_negatives"] > 0


def test_import_and_features_report_counts(scenario: CliScenario) -> None:
    report = scenario.reports["import"]
    assert (report["transactions"], report["labels"], report["frauds"]) == (2, 2, 1)
    assert scenario.reports["features"]["passed"] > 0 and scenario.reports["features"]["skipped"] == 0


def test_a_second_model_decides_until_it_is_rolled_back(scenario: CliScenario) -> None:
    first, second = scenario.reports["retrain"]["version"], scenario.reports["train"]["version"]
    assert scenario.reports["train"]["threshold_rule"] == "alert budget: 2.00% of transactions"
    deployed, back = scenario.reports["deploy"], scenario.reports["rollback"]
    assert (deployed["champion"], deployed["previous"]) == (second, first) and first != second
    assert scenario.rows["second"][1] == second
    assert (back["champion"], back["previous"]) == (first, second)
    assert scenario.rows["rolled back"][1] == first


def test_a_challenger_is_deployed_and_retired(scenario: CliScenario) -> None:
    first, second = scenario.reports["retrain"]["version"], scenario.reports["train"]["version"]
    deployed, ended = scenario.reports["challenger"], scenario.reports["retired"]
    assert (deployed["champion"], deployed["challenger"], deployed["canary_percent"]) == (first, second, 100)
    assert scenario.rows["canary"][1] == second
    assert (ended["champion"], ended["challenger"]) == (first, None)
    assert scenario.reports["control rate"]["rate"] == 0.5


def test_status_names_challenger_and_canary(scenario: CliScenario) -> None:
    status = scenario.reports["with challenger"]
    assert status["challenger"] == scenario.reports["train"]["version"] and status["canary_percent"] == 100
    assert scenario.reports["status"]["challenger"] is None


def test_simulated_rows_are_kept_from_imported_ones_and_removable(scenario: CliScenario) -> None:
    assert "holds transactions that are not simulated" in scenario.rows["refused"]
    removed, history = scenario.reports["removed"], scenario.reports["simulate"]
    assert removed["removed_transactions"] == history["transactions"] + scenario.reports["live"]["rows"]
    # Users 1 and 42 have imported and inserted transactions.
    assert 500 < removed["removed_users"] <= history["users"] - 2


def test_monitor_reports_measures_and_no_alarm(scenario: CliScenario) -> None:
    report = scenario.reports["monitor"]
    assert report["champion"] == scenario.reports["retrain"]["version"] and report["alarms"] == 0
    assert {"alert_rate_ratio", "unscored_rate"} <= {row["metric"] for row in report["metrics"]}


def test_models_lists_both_versions_newest_first(scenario: CliScenario) -> None:
    found = [(model["version"], model["state"]) for model in scenario.reports["models"]]
    first, second = scenario.reports["retrain"]["version"], scenario.reports["train"]["version"]
    assert found == [(second, "retired"), (first, "champion")]
    assert all(model["threshold"] and model["metrics"]["auc"] for model in scenario.reports["models"])


def test_status_names_the_champion_and_down_stops_everything(scenario: CliScenario) -> None:
    status, up = scenario.reports["status"], scenario.reports["up"]
    assert {name: status[name] for name in ("database_url", "pooled_url", "api_url")} == {
        name: up[name] for name in ("database_url", "pooled_url", "api_url")
    }
    assert status["champion"] == scenario.reports["retrain"]["version"]
    assert {"API", "PostgreSQL"} <= set(scenario.reports["down"]["stopped"])
    after = scenario.reports["after"]
    assert [after[name] for name in ("database_url", "pooled_url", "api_url", "champion")] == [None] * 4
