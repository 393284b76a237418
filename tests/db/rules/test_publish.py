"""A rule set's life: published by a migration, in force in the INSERT, rolled back, replayed; drafts and approvals."""

from __future__ import annotations

import shutil
from typing import Any

import psycopg
import pytest

from rowguard.errors import RegistryError, RuleError
from sql_scoring.deployment import migrate_schema
from sql_scoring.deployment.migrate import migrate
from sql_scoring.deployment.rule_sets import (
    Publication,
    publish_draft,
    publish_rule_set,
    roll_back_rule_set,
)
from sql_scoring.rules.document import RuleSet, dump_rules, parse_rules, validate_rules
from tests.fix_database import Workspace

OUTCOME = "outcome, outcome_reasons, rule_set_version, matched_rules"


def rule(name: str, when: str, **values: Any) -> dict[str, Any]:
    return {
        "name": name,
        "when": when,
        "action": "decline",
        "reason_code": name[:20],
        "reason": f"because of {name}",
        "mode": "live",
    } | values


def rule_set(*rules: dict[str, Any], **values: Any) -> RuleSet:
    return validate_rules({"rules": list(rules), **values})


def publish(workspace: Workspace, *rules: dict[str, Any], **values: Any) -> Publication:
    return publish_rule_set(workspace.url, workspace.settings, rule_set(*rules, **values))


def insert(
    workspace: Workspace,
    amount: float = 10,
    user: int = 1,
    location: str | None = "DE",
    merchant: int | None = 7,
) -> Any:
    with workspace.connect() as connection:
        return connection.execute(
            "INSERT INTO transactions (user_id, amount, location, merchant_id) VALUES (%s, %s, %s, %s)"
            f" RETURNING {OUTCOME}".encode(),
            [user, amount, location, merchant],
        ).fetchone()


def differences(workspace: Workspace) -> list[Any]:
    with workspace.connect() as connection:
        return connection.execute("SELECT * FROM scoring.outcome_differences").fetchall()


def test_without_a_rule_set_there_is_no_outcome(migrated: Workspace) -> None:
    assert insert(migrated) == (None, None, None, None)


def test_the_first_matching_rule_by_priority_decides(migrated: Workspace) -> None:
    publish(
        migrated,
        rule("large", "amount > 100", action="review", priority=20),
        rule("abroad", "location <> 'DE'", action="decline", priority=30),
        rule("partner", "merchant_id = 9", action="approve", priority=10),
        rule("watched", "amount > 100", mode="shadow", priority=5),
    )
    assert insert(migrated) == ("approve", None, 1, None)
    # Positions by priority: watched 1, partner 2, large 3, abroad 4.
    assert insert(migrated, 200) == ("review", ["large"], 1, b"\0\1\0\3")
    assert insert(migrated, 200, location="FR") == ("review", ["large"], 1, b"\0\1\0\3\0\4")
    assert insert(migrated, 1, location="FR") == ("decline", ["abroad"], 1, b"\0\4")
    assert insert(migrated, 200, merchant=9) == ("approve", ["partner"], 1, b"\0\1\0\2\0\3")
    assert insert(migrated, 1, location=None, merchant=None) == ("approve", None, 1, None)
    assert differences(migrated) == []


def test_a_rule_that_raises_gives_the_failure_outcome(migrated: Workspace) -> None:
    publish(
        migrated,
        rule("broken", "1 / (amount - 10) > 1"),
        rule("also_broken", "1 / (amount - 20) > 1", mode="shadow"),
        failure_outcome="review",
    )
    # By name `also_broken` is the first.
    assert insert(migrated, 10) == ("review", ["rule_failed"], 1, b"\0\2")
    assert insert(migrated, 20) == ("approve", None, 1, None)
    assert insert(migrated, 30) == ("approve", None, 1, None)
    assert differences(migrated) == []


def test_rollback_goes_to_any_version_and_rows_replay(migrated: Workspace) -> None:
    publish(migrated, rule("one", "amount > 1"))
    publish(migrated, rule("two", "amount > 2"))
    assert insert(migrated)[1:3] == (["two"], 2)
    assert roll_back_rule_set(migrated.url, migrated.settings).version == 1
    assert insert(migrated)[1:3] == (["one"], 1)
    assert roll_back_rule_set(migrated.url, migrated.settings).version == 0
    assert insert(migrated) == (None, None, None, None)
    assert roll_back_rule_set(migrated.url, migrated.settings, to=2).version == 2
    assert insert(migrated)[1:3] == (["two"], 2)
    assert differences(migrated) == []
    for to, message in ((2, "in force already"), (7, "no rule set 7"), (-1, "no rule set -1")):
        with pytest.raises(RuleError, match=message):
            roll_back_rule_set(migrated.url, migrated.settings, to=to)


def test_lost_files_are_restored_and_lead_another_database_to_the_same_set(
    migrated: Workspace, empty_workspace: Workspace
) -> None:
    publish(migrated, rule("one", "amount > 1"))
    publish(migrated, rule("two", "amount > 2 AND location = 'D''E'"))
    roll_back_rule_set(migrated.url, migrated.settings)
    folder = migrated.settings.models_dir
    before = {path.relative_to(folder): path.read_text() for path in folder.rglob("*") if path.is_file()}
    shutil.rmtree(folder)
    migrate_schema(migrated.url, folder)
    assert {
        path.relative_to(folder): path.read_text() for path in folder.rglob("*") if path.is_file()
    } == before
    shutil.copytree(folder, empty_workspace.settings.models_dir, dirs_exist_ok=True)
    migrate(empty_workspace.url, empty_workspace.settings)
    assert insert(empty_workspace)[1:3] == (["one"], 1)


def test_a_changed_function_in_the_registry_is_noticed(migrated: Workspace) -> None:
    publish(migrated, rule("one", "amount > 1"))
    with migrated.connect() as connection:
        connection.execute("UPDATE scoring.rule_sets SET sql_text = sql_text || ' '")
    with pytest.raises(RegistryError, match="not as it was published"):
        publish(migrated, rule("two", "amount > 2"))


def test_a_rule_set_that_changed_meanwhile_is_not_overwritten(migrated: Workspace) -> None:
    publish(migrated, rule("one", "amount > 1"))
    with pytest.raises(
        RuleError, match="rule set 1 was put in force meanwhile by .*, and this one was edited from 0"
    ):
        publish_rule_set(migrated.url, migrated.settings, rule_set(rule("two", "amount > 2")), based_on=0)
    with pytest.raises(RuleError, match="exactly these rules"):
        publish(migrated, rule("one", "amount > 1"))


def test_a_set_round_trips_through_its_file(migrated: Workspace) -> None:
    published = rule_set(
        rule("one", "amount > 1\n  AND location = 'ä'", priority=7, owner="ana"),
        thresholds={"review": 0.25, "decline": 0.5},
        failure_outcome="decline",
    )
    publish_rule_set(migrated.url, migrated.settings, published)
    with migrated.connect() as connection:
        document = connection.execute("SELECT document FROM scoring.rule_sets").fetchone()
    assert document is not None
    assert parse_rules(dump_rules(validate_rules(document[0])), "rules.yml") == published


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("amuont > 1", "names `amuont`, which is no column, feature or list"),
        ("amount > 'x'", "invalid input syntax for type numeric"),
        ("amount + 1", "is of type numeric"),
        ("list.missing", "no such list"),
        ("occurred_at > '2026-01-01'", "depends on the time, the session"),
        ("date_part('hour', occurred_at) > 3", "depends on the time, the session"),
        ("user_txn_count_1h > 3", "no model is deployed"),
        ("amount > 1 AND", "is not SQL"),
    ],
)
def test_a_wrong_rule_is_named_and_nothing_changes(migrated: Workspace, when: str, message: str) -> None:
    with pytest.raises(RuleError, match=message) as error:
        publish(migrated, rule("fine", "amount > 1"), rule("wrong", when))
    assert "rule `wrong`" in str(error.value)
    assert "\n" not in str(error.value)
    assert insert(migrated) == (None, None, None, None)


def test_a_draft_is_published_once_and_with_approval(migrated: Workspace) -> None:
    with migrated.connect("rowguard_api") as connection:
        (draft_id,) = connection.execute(
            "INSERT INTO scoring.rule_drafts (document, based_on, created_by, updated_by) VALUES (%s, 0, 'ana', 'ana')"
            " RETURNING draft_id",
            [psycopg.types.json.Jsonb(rule_set(rule("one", "amount > 1")).as_document())],
        ).fetchone()  # type: ignore[misc]

    def run(needs_approval: bool) -> Publication:
        return publish_draft(
            migrated.url, migrated.settings, draft_id, by="ana", needs_approval=needs_approval
        )

    with pytest.raises(RuleError, match="needs the approval of another person than ana"):
        run(needs_approval=True)
    with migrated.connect() as connection:
        connection.execute("UPDATE scoring.rule_drafts SET approved_by = 'bo', approved_at = now()")
    assert run(needs_approval=True).version == 1
    with pytest.raises(RuleError, match="was published as rule set 1 already"):
        run(needs_approval=False)
    with migrated.connect() as connection:
        row = connection.execute("SELECT published_by, approved_by FROM scoring.rule_sets").fetchone()
    assert row == ("ana", "bo")
