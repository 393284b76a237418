"""rules and lists by the command line: check, backtest, publish, export, roll back, exceptions; one line on an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fix_database import Workspace
from tests.stack.cli.conftest import Run, runner

RULES = """
thresholds: {}
rules:
  - {name: large, when: amount > 100, action: review, reason_code: large, reason: A large amount, mode: live}
"""


@pytest.fixture
def on(migrated: Workspace, tmp_path: Path) -> Run:
    return runner(tmp_path, DATABASE_URL=migrated.url)


def test_a_rule_sets_life(on: Run, migrated: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(RULES)
    assert on("rules", "check", str(file), "--json").document() == {"rules": 1, "live": 1, "shadow": 0}
    assert on("rules", "backtest", str(file), "--json").document()["transactions"] == 0
    assert on("rules", "list").out.startswith("no rule set was published")
    assert on("rules", "publish", str(file), "--note", "first", "--json").document()["version"] == 1
    with migrated.connect() as connection:
        row = connection.execute(
            "INSERT INTO transactions (user_id, amount) VALUES (1, 200) RETURNING outcome"
        ).fetchone()
    assert row == ("review",)
    (rule,) = on("rules", "list", "--version", "1", "--json").document()
    assert (rule["name"], rule["matched_30d"]) == ("large", 1)
    exported = tmp_path / "exported.yml"
    assert on("rules", "export", "--output", str(exported)).code == 0
    assert "based_on: 1" in exported.read_text()
    assert "exactly these rules" in on("rules", "publish", str(exported)).refusal()
    exported.write_text(exported.read_text().replace("amount > 100", "amount > 50"))
    assert on("rules", "publish", str(exported), "--json").document()["version"] == 2
    assert "edited from 1" in on("rules", "publish", str(exported)).refusal()
    number = on(
        "rules", "add-exception", "large", "1", "--until", "2027-01-01", "--reason", "known", "--json"
    ).document()["exception_id"]
    assert len(on("rules", "exceptions", "--unused", "--json").document()) == 1
    assert on("rules", "end-exception", str(number)).code == 0
    assert on("rules", "rollback", "--json").document()["version"] == 1
    assert on("rules", "rollback", "--to", "0").code == 0
    assert "nothing to go back to" in on("rules", "rollback").refusal()


def test_lists(on: Run, tmp_path: Path) -> None:
    assert on("lists", "list").out.startswith("no list yet")
    assert on("lists", "create", "blocked", "user_id", "--kind", "block").code == 0
    assert on("lists", "add", "blocked", "1", "2", "--reason", "ticket", "--json").document()["written"] == 2
    assert on("lists", "remove", "blocked", "1", "--json").document()["removed"] == 1
    assert on("lists", "export", "blocked").out == "key,expires_at,reason\n2,,ticket\n"
    file = tmp_path / "list.csv"
    file.write_text("key\n5\n6\n")
    assert on("lists", "import", "blocked", str(file), "--json").document() == {
        "list": "blocked",
        "lines": 2,
        "written": 2,
    }
    assert on("lists", "list", "--json").document()[0]["entries"] == 3
    file.write_text("key\n5\nsix\n")
    assert "line 3" in on("lists", "import", "blocked", str(file)).refusal()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RULES.replace("amount > 100", "amuont > 100"), "rule `large`: `when`: names `amuont`"),
        (RULES.replace("review,", "burn,"), "line 4, column"),
        ("rules: [", "rules.yml, line 1"),
        ("- a", "is no mapping"),
    ],
)
def test_a_wrong_file_is_one_line(on: Run, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(text)
    for command in ("check", "backtest", "publish"):
        assert message in on("rules", command, str(file)).refusal()
    assert "cannot be read" in on("rules", "check", str(tmp_path / "missing.yml")).refusal()
