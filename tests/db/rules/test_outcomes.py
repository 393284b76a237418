"""Outcome next to the model: thresholds, control group, failures, exceptions, what a client sends, other feature lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from rowguard.errors import RuleError
from rowguard.operations.control_group import control_rate
from rowguard.operations.lists import add_entries, create_list
from rowguard.operations.rules import add_exception, end_exception, list_exceptions, rules_with_matches
from sql_scoring.deployment.rule_sets import check_rule_set
from tests.db.rules.test_publish import differences, insert, publish, rule, rule_set
from tests.fix_database import Workspace
from tests.unit.rules.corpus import read_conditions


def score(workspace: Workspace) -> float:
    with workspace.connect() as connection:
        row = connection.execute(
            "SELECT fraud_probability FROM score_transaction(1, 10, merchant_id => 7, location => 'DE')"
        ).fetchone()
    assert row is not None
    return float(row[0])


def test_every_legitimate_condition_is_accepted(scored: Workspace) -> None:
    create_list(scored.url, "watched", "user_id", "other")
    conditions = read_conditions("legitimate")
    check_rule_set(
        scored.url, scored.settings, rule_set(*(rule(f"r{n}", when) for n, when in enumerate(conditions)))
    )
    publish(scored, *(rule(f"r{n}", when, mode="shadow") for n, when in enumerate(conditions)))
    assert insert(scored)[0] == "approve"
    assert differences(scored) == []


@pytest.mark.parametrize("condition", read_conditions("hostile")[::10])
def test_a_draft_of_a_hostile_condition_is_never_published(scored_once: Workspace, condition: str) -> None:
    with pytest.raises(RuleError):
        publish(scored_once, rule("r", condition))


@pytest.fixture(scope="module")
def scored_once(migrated_template: Workspace) -> Workspace:
    """Only read: nothing of it is published."""
    return migrated_template


def test_thresholds_of_the_score(scored: Workspace) -> None:
    value = score(scored)
    publish(scored, thresholds={"review": value / 2, "decline": 1.0})
    assert insert(scored)[:2] == ("review", ["model_score"])
    publish(
        scored,
        rule("partner", "merchant_id = 7", action="approve"),
        thresholds={"review": value / 2, "decline": 1},
    )
    assert insert(scored)[:2] == ("approve", ["partner"])
    publish(scored, rule("partner", "merchant_id = 7", action="approve"), thresholds={"decline": value / 9})
    assert insert(scored)[:2] == ("decline", ["model_score"])
    publish(scored, thresholds={"review": 1.0})
    assert insert(scored)[:2] == ("approve", None)
    assert differences(scored) == []


def test_the_control_group_is_not_blocked_for_its_score(scored: Workspace) -> None:
    publish(scored, rule("large", "amount > 100"), thresholds={"review": 0.0, "decline": 0.0})
    control_rate(scored.url, 1.0)
    with scored.connect() as connection:
        connection.execute("UPDATE scoring.models SET threshold = 0")
        text = connection.execute(
            "SELECT pg_get_functiondef('scoring.decide_transaction'::regproc)"
        ).fetchone()
        assert text is not None
        import re

        connection.execute(re.sub(r">= '[^']+'::double", ">= '0'::double", text[0]).encode())
    # Every row is an alert now: with `thresholds: {}` the score decides nothing, without thresholds it declines.
    control_rate(scored.url, 0.0)
    publish(scored, rule("large", "amount > 100"), thresholds={})
    assert insert(scored, 10)[:2] == ("approve", None)
    publish(scored, rule("large", "amount > 100"))
    assert insert(scored, 10)[:2] == ("decline", ["model_score"])
    control_rate(scored.url, 1.0)
    assert insert(scored, 10)[:2] == ("approve", ["control_group"])
    assert insert(scored, 200)[:2] == ("decline", ["large"])
    assert differences(scored) == []


def test_a_row_without_a_score_gets_the_failure_outcome(scored: Workspace) -> None:
    publish(scored, rule("partner", "merchant_id = 9", action="approve"), failure_outcome="decline")
    with scored.connect() as connection:
        row = connection.execute(
            "SELECT 'scoring.' || version FROM scoring.models WHERE state = 'champion'"
        ).fetchone()
        assert row is not None
        connection.execute(
            f"CREATE OR REPLACE FUNCTION {row[0]}(p_features real[]) RETURNS double precision LANGUAGE plpgsql IMMUTABLE"
            " PARALLEL SAFE AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$".encode()
            if False
            else "ALTER FUNCTION scoring.decide_transaction RENAME TO decide_transaction_gone"
        )
    assert insert(scored)[:2] == ("decline", ["unscored"])
    assert insert(scored, merchant=9)[:2] == ("approve", ["partner"])
    publish(scored, rule("never", "false"), thresholds={})
    assert insert(scored)[:2] == ("review", ["unscored"])
    assert differences(scored) == []


def test_a_missing_function_keeps_the_row_for_review(migrated: Workspace) -> None:
    publish(migrated, rule("one", "amount > 1"))
    with migrated.connect() as connection:
        connection.execute("ALTER FUNCTION scoring.rule_set_1 RENAME TO rule_set_1_gone")
        connection.execute("CREATE FUNCTION scoring.rule_set_1() RETURNS void LANGUAGE sql RETURN NULL::void")
    assert insert(migrated)[:2] == ("decline", ["one"])  # the facade knows the function, not its name
    with migrated.connect() as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION scoring.combine_outcome_x() RETURNS int LANGUAGE sql RETURN 1"
        )
        connection.execute("ALTER FUNCTION scoring.combine_outcome RENAME TO combine_outcome_gone")
    assert insert(migrated) == ("review", ["outcome_failed"], None, None)


def test_exceptions_suppress_until_they_end(migrated: Workspace) -> None:
    publish(migrated, rule("one", "amount > 1"), rule("two", "amount > 5", action="review"))
    until = datetime.now(UTC) + timedelta(days=1)
    first = add_exception(migrated.url, "one", "1", until, "known customer")
    assert insert(migrated, 10)[:2] == ("review", ["two"])
    assert insert(migrated, 10, user=2)[:2] == ("decline", ["one"])
    add_exception(migrated.url, "two", "1", until, "known customer")
    assert insert(migrated, 3) == ("approve", None, 1, b"\xc0\x01")
    unused = list_exceptions(migrated.url, unused=True)
    assert [row["rule_name"] for row in unused] == ["two"]
    end_exception(migrated.url, first)
    assert insert(migrated, 10)[:2] == ("decline", ["one"])
    (stale,) = list_exceptions(migrated.url, stale=True)
    assert (stale["exception_id"], stale["used_count"], stale["is_active"]) == (first, 2, False)
    assert differences(migrated) == []
    counts = {
        row["name"]: (row["matched_30d"], row["suppressed_30d"])
        for row in rules_with_matches(migrated.url, 1)
    }
    assert counts == {"one": (2, 2), "two": (2, 1)}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rule": "none"}, "has no rule none"),
        ({"ends_at": datetime(2020, 1, 1, tzinfo=UTC)}, "is in the past"),
        ({"ends_at": datetime(2999, 1, 1, tzinfo=UTC)}, "ends within a year"),
        ({"reason": "  "}, "needs a reason"),
        ({"reason": "x" * 501}, "needs a reason"),
        ({"user_id": "forty-two"}, "invalid input syntax for type bigint"),
    ],
)
def test_wrong_exceptions_are_rejected(migrated: Workspace, values: dict[str, Any], message: str) -> None:
    publish(migrated, rule("one", "amount > 1"))
    given: dict[str, Any] = {
        "rule": "one",
        "user_id": "1",
        "ends_at": datetime.now(UTC) + timedelta(days=1),
        "reason": "r",
    } | values
    with pytest.raises(RuleError, match=message):
        add_exception(migrated.url, **given)
    with pytest.raises(RuleError, match="there is no active exception 99"):
        end_exception(migrated.url, 99)


def test_what_a_client_sends_is_dropped(migrated: Workspace) -> None:
    statement = (
        "INSERT INTO transactions (user_id, amount, outcome, outcome_reasons, rule_set_version, matched_rules)"
        " VALUES (1, 10, 'approve', '{x}', 77, '\\x01') RETURNING outcome, outcome_reasons, rule_set_version, matched_rules"
    )
    with migrated.connect("rowguard_app") as connection:
        assert connection.execute(statement.encode()).fetchone() == (None, None, None, None)
        publish(migrated, rule("one", "amount > 1"))
        assert connection.execute(statement.encode()).fetchone() == ("decline", ["one"], 1, b"\0\1")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE transactions SET outcome = 'approve'")


def test_score_transaction_shows_the_outcome_of_an_insert(scored: Workspace) -> None:
    publish(scored, rule("large", "amount > 100", action="review"))
    create_list(scored.url, "blocked", "user_id", "block")
    add_entries(scored.url, "blocked", [{"key": "2"}])
    with scored.connect("rowguard_app") as connection:
        rows = connection.execute(
            "SELECT (score_transaction(u, a)).* FROM (VALUES (1, 10), (1, 200), (2, 10)) AS v (u, a)"
        ).fetchall()
    assert [row[-3:] for row in rows] == [
        ("approve", None, 1),
        ("review", ["large"], 1),
        ("decline", ["blocked"], 1),
    ]


def test_reasons_and_codes_take_64_bytes_at_most(migrated: Workspace) -> None:
    rules = [
        rule(f"rule_{n}", "amount > 1", reason_code=f"reason_number_{n:03}xyz"[:20], action="decline")
        for n in range(40)
    ]
    publish(migrated, *rules)
    for name in ("aaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbb"):
        create_list(migrated.url, name, "user_id", "block")
        add_entries(migrated.url, name, [{"key": "1"}])
    for user in (1, 2):
        insert(migrated, user=user)
    with migrated.connect() as connection:
        sizes = connection.execute(
            "SELECT pg_column_size(outcome_reasons) + pg_column_size(matched_rules) + 4, octet_length(matched_rules),"
            " cardinality(outcome_reasons) FROM transactions ORDER BY user_id"
        ).fetchall()
    assert all(size <= 64 and length <= 16 and count >= 1 for size, length, count in sizes), sizes
    assert differences(migrated) == []


def test_another_feature_list_is_mapped_by_name(scored: Workspace) -> None:
    publish(scored, rule("busy", "transaction_amount = 10 AND user_txn_count_1h >= 0"))
    assert insert(scored)[:2] == ("decline", ["busy"])
    with scored.connect() as connection:
        # As after a deployment whose list has another order: the facade maps, and replays do.
        connection.execute(
            "UPDATE scoring.rule_sets SET feature_names = (SELECT array_agg(n ORDER BY i DESC)"
            " FROM unnest(feature_names) WITH ORDINALITY AS f (n, i))"
        )
        connection.execute("SELECT scoring.bind_outcomes()")
    assert insert(scored)[0] == "approve"
    with scored.connect() as connection:
        facade = connection.execute("SELECT pg_get_functiondef('scoring.decide_outcome'::regproc)").fetchone()
    assert facade is not None and "remap_features" in facade[0]
