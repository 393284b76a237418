"""Every report fits 80 columns, and holds what the next command needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from rowguard.cli import _output, app
from rowguard.settings import settings
from tests.fix_database import PATIENT_GATES, Workspace

WIDTH = 80
COMMANDS = sorted(typer.main.get_group(app).commands)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_output.out, "_width", WIDTH)
    monkeypatch.setattr(_output.err, "_width", WIDTH)
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    yield
    settings.cache_clear()


def too_wide(text: str) -> list[str]:
    """Lines that a terminal would break. A command or a path to copy is one line, however long."""
    lines = text.partition("\nNext\n")[0].splitlines()
    return [line for line in lines if len(line.rstrip()) > WIDTH and not re.search(r"rowguard|: /", line)]


@pytest.mark.slow
def test_reports_fit(
    scored: Workspace, narrow: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    variables = {
        "DATABASE_URL": scored.url,
        "ROWGUARD_STATE_DIR": str(scored.settings.state_dir),
        "ROWGUARD_MODELS_DIR": str(scored.settings.models_dir),
        **PATIENT_GATES,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    (tmp_path / "bad.csv").write_text("occurred_at,user_id,amount\n2026-01-01,1,-5.00\nsoon,x,1\n")
    with scored.connect() as connection:
        (version,) = connection.execute("SELECT version FROM model_versions").fetchone() or ()
        (last,) = connection.execute("SELECT max(occurred_at) FROM transactions").fetchone() or ()
        connection.execute("INSERT INTO transactions (user_id, amount) VALUES (1, 5)")
    week = f"{last - timedelta(days=22):%Y-%m-%d}"
    told = {}
    for command in (
        "models", "status", "doctor", "monitor", "unscored", "failure-policy", "control-rate", "rollback",
        "simulate --live --count 2 --mix-into-real-data", "import bad.csv", "rescore --no-build",
        "train --alert-budget 0.02", f"deploy {version}", f"backtest --train-start {week} --baselines",
        f"tune --train-start {week} --quick", "tradeoff --max-us 30 --quick",
    ):  # fmt: skip
        done = CliRunner().invoke(app, command.split())
        told[command] = done.output
        assert len(done.output.splitlines()) > 0 or done.exception is not None, command
        assert not too_wide(done.output), (command, too_wide(done.output))
    assert version in told["models"] and "champion" in told["models"]
    assert version in told["status"] and "postgresql://" in told["status"]
    assert " ok " in told["doctor"]
    assert "too few rows" in told["monitor"]
    assert "amount" in told["import bad.csv"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits(command: str, narrow: None) -> None:
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert [line for line in done.output.splitlines() if len(line.rstrip()) > WIDTH] == []


def test_commands_are_in_groups_and_near_misses_are_named(narrow: None) -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    assert all(
        f"─ {group} ─" in shown for group in ("Start", "Data", "Models", "Evaluation", "Operations", "HTTP")
    )
    missed = CliRunner().invoke(app, ["retran"])
    assert missed.exit_code == 2 and "Did you mean 'retrain'" in missed.output
    version = CliRunner().invoke(app, ["--version"])
    assert version.exit_code == 0 and version.output.startswith("rowguard 0.")


def test_a_table_leaves_columns_out_and_says_which(capsys: pytest.CaptureFixture[str], narrow: None) -> None:
    row = {"version": "rf_20261101_1a2b3c4d", **{f"a long header {n}": n for n in range(9)}}
    _output.print_table([row, row])
    shown = capsys.readouterr().out
    assert (
        "rf_20261101_1a2b3c4d" in shown and "Left out at this width: " in shown and "a long header 8" in shown
    )
    _output.print_table([row])
    listed = capsys.readouterr().out
    assert "Left out" not in listed and all(header in listed for header in row)
