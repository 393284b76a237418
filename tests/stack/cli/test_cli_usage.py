"""Help, usage errors, and unreachable addresses: nothing here needs a database."""

from __future__ import annotations

import os
import re
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from rowguard.cli import app
from tests.stack.cli.conftest import Run, runner

COMMANDS = sorted(typer.main.get_group(app).commands)
GROUPS = {
    name: command
    for name, command in typer.main.get_group(app).commands.items()
    if hasattr(command, "commands")
}
# A command of a group by both names.
PATHS = {
    **{name: command for name, command in typer.main.get_group(app).commands.items() if name not in GROUPS},
    **{f"{group} {name}": command for group in GROUPS for name, command in GROUPS[group].commands.items()},
}
NEED_DATABASE = [
    line.split()
    for line in (
        "migrate", "features", "train", "retrain", "models", "rollback", "rollback --steps 2", "roll-forward", "promote",
        "retire-challenger", "control-rate", "failure-policy", "unscored", "rescore", "monitor", "doctor", "deploy rf_1",
        "archive --keep 400d", "tradeoff --max-us 30", "backtest --train-start 2026-01-01",
        "simulate --users 20 --days 3", "simulate --live --count 2", "import good.csv", "threshold 0.5", "up",
        "rules list", "rules rollback", "rules exceptions", "rules thresholds --review-rate 0.1", "lists list",
        "lists create blocked user_id", "lists add blocked 1", "lists remove blocked 1", "lists import blocked good.csv",
    )
]  # fmt: skip


def test_every_command_of_the_contract_exists() -> None:
    assert set(COMMANDS) == {
        "up", "down", "status", "migrate", "psql", "inspect", "import", "simulate", "features", "train", "models", "retrain",
        "deploy", "promote", "retire-challenger", "rollback", "roll-forward", "control-rate", "failure-policy",
        "unscored", "rescore", "backtest", "tune", "tradeoff", "doctor", "monitor", "archive", "serve", "token", "roles",
        "demo", "explain", "reasons", "register", "threshold", "rules", "lists", "reviews", "console",
    }  # fmt: skip


def test_the_groups_have_the_commands_of_the_contract() -> None:
    assert {"check", "backtest", "publish", "rollback", "list"} <= set(GROUPS["rules"].commands)
    assert {"add", "remove", "import", "export", "list"} <= set(GROUPS["lists"].commands)


@pytest.mark.parametrize("command", PATHS)
def test_help_has_a_purpose_every_option_and_an_example(run: Run, command: str) -> None:
    done = run(*command.split(), "--help")
    assert done.code == 0 and done.err == ""
    assert re.search(rf"Usage: .*\b{command}\b", done.out)
    purpose = (PATHS[command].help or "").strip().splitlines()[0]
    assert len(purpose) > 20 and purpose[:40] in done.out
    assert "Example: " in done.out
    for parameter in PATHS[command].params:
        assert getattr(parameter, "help", None), f"{command} {parameter.name}"


def test_commands_that_read_the_registry_start_without_the_heavy_libraries() -> None:
    code = (
        "import sys, rowguard.cli, sql_scoring.registry, rowguard.local, rowguard.operations.simulated_rows\n"
        "print(*sorted({'numpy', 'sklearn', 'scipy', 'matplotlib', 'dbt', 'pyarrow', 'fastapi', 'urllib.request'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_reading_the_registry_costs_little_more_than_its_libraries() -> None:
    """Processor time, as a share of what its libraries take, which holds on any machine: 0.4 s is 1.6 times."""
    libraries = "import typer, rich.table, rich.progress, pydantic_settings, psycopg"
    command = "import sys; sys.argv = ['rowguard', 'models']; from rowguard.cli import main; main()"
    address = {**os.environ, "DATABASE_URL": "postgresql://user@127.0.0.1:1/none"}

    def processor_s(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], env=address, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    processor_s(command)  # byte code is written
    rounds = [(processor_s(command), processor_s(libraries)) for _ in range(4)]
    assert min(models for models, _ in rounds) < 1.6 * min(floor for _, floor in rounds)


def test_help_without_a_command_lists_them(run: Run) -> None:
    done = run("--help")
    assert done.code == 0
    assert all(re.search(rf"│ {command}\b", done.out) for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("frobnicate",), "No such command 'frobnicate'"),
        (("models", "--frobnicate"), "No such option: --frobnicate"),
        (("deploy",), "Missing argument"),
        (("import",), "name either a FILE or a --query"),
        (("simulate", "--users", "many"), "--users"),
        (("deploy", "rf_1", "--as", "emperor"), "emperor"),
        (("deploy", "rf_1", "--canary", "5"), "only a challenger has a canary"),
        (("deploy", "rf_1", "--as", "challenger", "--canary", "101"), "--canary"),
        (("rollback", "--steps", "0"), "--steps"),
        (("rollback", "--steps", "2", "--to", "rf_1"), "give either --steps or --to"),
        (("control-rate", "2"), "rate"),
        (("serve", "--port", "70000"), "--port"),
        (("train", "--from", "yesterday"), "'yesterday' is neither a day"),
        (("train", "--to", "2026-13-01"), "'2026-13-01' is neither a day"),
        (("retrain", "--from", "31.12.2026"), "'31.12.2026' is neither a day"),
        (("simulate", "--end", "soon"), "'soon' is neither a day"),
        (("train", "--false-positive-cost", "1"), "go together"),
        (
            ("train", "--alert-budget=0.1", "--false-positive-cost=1", "--false-negative-cost=1"),
            "give either",
        ),
        (("import", "good.csv", "--map", "amount"), "is not of the form OURS=THEIRS"),
        (("rules", "publish"), "give either a FILE or --draft"),
        (("rules", "rollback", "--to", "-1"), "--to"),
        (("rules", "thresholds"), "give either --cost, or --review-rate"),
        (("rules", "thresholds", "--cost", "1", "2", "-3"), "costs are not negative"),
        (("rules", "add-exception", "r", "1", "--until", "soon", "--reason", "x"), "'soon' is neither a day"),
        (("rules", "frobnicate"), "No such command 'frobnicate'"),
        (("lists", "create", "blocked", "user_id", "--kind", "deny"), "deny"),
        (("lists", "add", "blocked"), "Missing argument"),
    ],
)
def test_usage_errors_exit_with_2_and_leave_standard_output_empty(
    run: Run, arguments: tuple[str, ...], message: str
) -> None:
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err and "Traceback" not in done.err


@pytest.mark.parametrize("arguments", NEED_DATABASE, ids=" ".join)
def test_a_database_that_is_down_is_one_line(run: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "good.csv").write_text("occurred_at,user_id,amount\n2026-01-01,1,5.00\n")
    line = run(*arguments, "--json").refusal()
    assert line.startswith("no connection to postgresql://user@127.0.0.1:1/nothing: ")
    assert "hidden" not in line


@pytest.mark.parametrize(
    "address",
    ["nonsense", "mysql://u:hidden@h/db", "postgresql://u:hidden@[bad/db", "postgresql://u:hidden@h:port/db"],
)
@pytest.mark.parametrize(
    "arguments", [("models",), ("migrate",), ("retrain",), ("status",), ("serve",), ("up",)]
)
def test_a_malformed_address_is_one_line_without_its_password(
    run: Run, arguments: tuple[str, ...], address: str
) -> None:
    assert run(*arguments, DATABASE_URL=address).refusal() == (
        "DATABASE_URL is not a PostgreSQL address such as postgresql://user:password@host:5432/database"
    )


def test_status_of_a_database_that_is_down_is_a_report(run: Run) -> None:
    document = run("status", "--json").document()
    assert document["champion"] is None and document["api_url"] is None
    assert len(document["notes"]) == len(set(document["notes"]))
    assert any(
        note.startswith("no connection to postgresql://user@127.0.0.1:1/nothing")
        for note in document["notes"]
    )


def test_status_before_anything_was_started_is_empty_and_starts_nothing(tmp_path: Path) -> None:
    document = runner(tmp_path)("status", "--json").document()
    assert [document[name] for name in ("database_url", "pooled_url", "api_url", "champion")] == [None] * 4
    assert runner(tmp_path)("down", "--json").document() == {"stopped": []}
    assert not (tmp_path / ".rowguard" / "postgres" / "data").exists()


def test_the_demo_rejects_an_external_database(run: Run) -> None:
    assert run("demo").refusal() == "the demo uses the embedded server only; unset DATABASE_URL"


def test_a_malformed_setting_is_named(run: Run) -> None:
    line = run("status", ROWGUARD_API_PORT="eighty").refusal()
    assert "api_port" in line.lower() and "integer" in line


def test_a_port_taken_by_a_stranger_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        run = runner(tmp_path, ROWGUARD_API_PORT=str(port))
        external = "postgresql://user@127.0.0.1:1/nothing"
        assert (
            run("serve", DATABASE_URL=external).refusal().startswith(f"cannot listen on 127.0.0.1:{port}: ")
        )
        assert not (tmp_path / ".rowguard").exists()
