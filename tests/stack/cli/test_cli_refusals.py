"""Commands that fail: one line, exit code 1, nothing half-done."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.fix_database import Workspace
from tests.stack.cli.conftest import CliResult, Run, runner

HEADER = "transaction_id,occurred_at,user_id,amount\n"
FIRST = "1,2026-01-01,1,5.00\n"


def run_on(run: Run, workspace: Workspace) -> Run:
    """The same, on this database and its folders."""

    def on(*arguments: str, **more: str) -> CliResult:
        return run(
            *arguments,
            DATABASE_URL=workspace.url,
            ROWGUARD_STATE_DIR=str(workspace.settings.state_dir),
            ROWGUARD_MODELS_DIR=str(workspace.settings.models_dir),
            **more,
        )

    return on


def count(workspace: Workspace) -> int:
    with workspace.connect() as connection:
        row = connection.execute("SELECT count(*) FROM transactions").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    "arguments",
    [("models",), ("features",), ("train",), ("retrain",), ("rollback",), ("deploy", "rf_1"),
     ("simulate", "--users", "20", "--days", "3"), ("simulate", "--live", "--count", "1"), ("import", "good.csv")],
    ids=lambda arguments: " ".join(arguments[:2]),
)  # fmt: skip
def test_without_the_schema_commands_say_what_to_run_and_leave_no_trace(
    run: Run, empty_workspace: Workspace, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "good.csv").write_text(HEADER + FIRST)
    assert run_on(run, empty_workspace)(*arguments).refusal() == (
        "The database schema is missing or at another revision; run: rowguard migrate"
    )
    with empty_workspace.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_namespace WHERE nspname IN ('features', 'scoring')"
        ).fetchone()
    assert row == (0,)


@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_taken_port_of_the_api_is_noticed_before_anything_starts(tmp_path: Path, command: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = runner(tmp_path, ROWGUARD_API_PORT=str(port))(command)
    assert done.refusal() == f"port {port} on 127.0.0.1 is taken; end that program or set ROWGUARD_API_PORT"
    assert not (tmp_path / ".rowguard").exists()


def test_import_loads_a_good_file_once(run: Run, migrated: Workspace, tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text(HEADER + FIRST)
    on = run_on(run, migrated)
    document = on("import", "good.csv", "--json").document()
    assert document.pop("seconds") >= 0
    counts = {"transactions": 1, "labels": 0, "frauds": 0, "references": 0, "left_out": 0}
    assert document == counts | {"ignored_columns": []}
    assert (
        on("import", "good.csv", "--json")
        .refusal()
        .startswith("already stored: Key (user_id, transaction_id)=(1, 1)")
    )
    assert count(migrated) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "file.csv: there is no such file"),
        ("", "file.csv: the file is empty"),
        (HEADER, "no rows"),
        (HEADER + FIRST + "2,2026-01-02,1,-5.00\n", "line 3: amount is negative: -5.00"),
        (HEADER + FIRST + "2,2026-01-02,1,NaN\n", "line 3: amount is not finite: NaN"),
        (HEADER + FIRST + "2,yesterday,1,5.00\n", "line 3: occurred_at is not an ISO 8601 time: yesterday"),
        (HEADER + FIRST + "2,2099-01-01,1,5.00\n", "line 3: occurred_at is more than 1 day in the future"),
        (HEADER + FIRST + "2,2026-01-02,1\n", "line 3: "),
        ("occurred_at,user_id,amount,color\n2026-01-01,1,5.00,red\n", "color"),
        ("user_id,amount\n1,5.00\n", "occurred_at"),
    ],
)  # fmt: skip
def test_import_rejects_a_bad_file_as_a_whole(
    run: Run, migrated_template: Workspace, tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "file.csv").write_text(content)
    assert message in run_on(run, migrated_template)("import", "file.csv", "--json").refusal()
    assert count(migrated_template) == 0


def test_import_shows_every_kind_of_bad_line(run: Run, migrated_template: Workspace, tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_text(HEADER + "1,2026-01-01,1,-1\n2,2026-01-01,x,1\n")
    done = run_on(run, migrated_template)("import", "file.csv")
    assert done.code == 1 and done.out == ""
    shown = [" ".join(line.split()) for line in done.err.splitlines()]
    assert "1 amount is negative 2 -1" in shown and "1 user_id is not a whole number 3 x" in shown
    assert shown[-1].startswith(
        "rowguard: file.csv: 2 of 2 rows cannot be loaded, nothing was loaded; line 2: "
    )


def test_a_file_that_is_no_parquet_is_one_line(
    run: Run, migrated_template: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "file.parquet").write_bytes(b"PAR1 but not really")
    assert run_on(run, migrated_template)("import", "file.parquet").refusal().startswith("file.parquet: ")


def test_without_data_and_without_a_model_commands_say_what_to_do(run: Run, migrated: Workspace) -> None:
    on = run_on(run, migrated)
    assert on("rollback", "--json").refusal() == "no model was ever deployed; there is nothing to go back to"
    assert on("deploy", "rf_nope").refusal() == "there is no model 'rf_nope'; registered: none yet"
    for command in ("train", "retrain"):
        assert on(command, "--json").refusal() == (
            "there are no transactions to train on; run: rowguard import FILE"
        )
    assert on("models", "--json").document() == []
    assert on("status", "--json").document()["champion"] is None
    live = on("simulate", "--live", "--count", "3", "--mix-into-real-data", "--json").document()
    assert (live["rows"], live["unscored"]) == (3, 3)


def test_a_history_too_short_is_one_line(run: Run, migrated: Workspace) -> None:
    on = run_on(run, migrated)
    simulate = ("simulate", "--users", "50", "--days", "10", "--mix-into-real-data", "--json")
    assert on(*simulate).document()["transactions"] > 0
    assert (
        "is too short: with labels that are known after 7 days it takes more than 16 days"
        in on("retrain", "--json").refusal()
    )
    assert on("models", "--json").document() == []


def test_with_one_model_there_is_no_way_back_and_no_other_version(run: Run, scored: Workspace) -> None:
    on = run_on(run, scored)
    (only,) = on("models", "--json").document()
    version = only["version"]
    unmoved = on("rollback", "--json").document()
    assert unmoved == {
        "champion": version,
        "previous": version,
        "note": f"{version} is the first champion; there is none before it",
    }
    assert on("roll-forward").out.startswith("nothing changed: cannot go forward 1 champions")
    assert on("rollback", "--steps", "2").refusal().endswith("there is none before it")
    assert on("deploy", "rf_nope").refusal() == f"there is no model 'rf_nope'; registered: {version}"
    for given in (version, version[-8:-3], version[:-2]):
        assert on("deploy", given, "--json").refusal() == f"{version} is the champion already"
    assert "is too short" in on("train", "--from", "2027-01-01", "--json").refusal()


def test_simulated_rows_are_kept_from_real_ones_and_removable(
    run: Run, migrated: Workspace, tmp_path: Path
) -> None:
    on = run_on(run, migrated)
    live = ("simulate", "--live", "--count", "5", "--json")
    assert "DATABASE_URL names the database" in on(*live).refusal()
    (tmp_path / "good.csv").write_text(HEADER + FIRST)
    assert on("import", "good.csv", "--json").code == 0
    for command in (live, ("simulate", "--users", "20", "--days", "3")):
        assert "the database holds transactions that are not simulated" in on(*command).refusal()
    assert count(migrated) == 1
    for _ in range(2):
        assert on(*live, "--mix-into-real-data").document()["rows"] == 5
    on("simulate", "--users", "20", "--days", "3", "--mix-into-real-data", "--json").document()
    with migrated.connect() as connection:
        amounts = connection.execute(
            "SELECT amount, user_id, merchant_id FROM transactions WHERE NOT is_history"
        ).fetchall()
    assert len(set(amounts)) == 10  # the second stream goes on where the first ended
    removed = on("simulate", "--remove", "--json").document()
    assert removed["removed_transactions"] > 10 and removed["removed_users"] == 0
    assert count(migrated) == 1
    with migrated.connect() as connection:
        trained = connection.execute("SELECT count(*) FROM features.training_set").fetchone()
        left = connection.execute("SELECT count(*) FROM users").fetchone()
    assert trained == (1,) and left == (0,)


def test_migrate_builds_nothing_when_nothing_changed(run: Run, migrated: Workspace) -> None:
    on = run_on(run, migrated)
    assert on("migrate", "--json").document() == {"dbt_nodes": 0, "model_revisions_applied": 0, "notes": []}
    # Another label delay changes what dbt builds.
    assert on("migrate", "--json", ROWGUARD_LABEL_DELAY_DAYS="5").document()["dbt_nodes"] > 0
