"""Review cases in SQL: opened without work of an INSERT, claimed without waiting, decided together, never half."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from tests.db.lifecycle.models import flag_everything
from tests.fix_database import Workspace

Rows = list[tuple[Any, ...]]


@pytest.fixture
def flagged(scored: Workspace) -> Workspace:
    """A database whose model flags every transaction."""
    flag_everything(scored)
    return scored


def insert(workspace: Workspace, *users: int) -> None:
    with workspace.connect() as connection:
        for user in users:
            connection.execute("INSERT INTO transactions (user_id, amount) VALUES (%s, 10.5)", [user])


def run(workspace: Workspace, statement: str, *values: Any) -> Rows:
    """With the rights of the API, and no others."""
    with workspace.connect("rowguard_api") as connection:
        return connection.execute(statement.encode(), values).fetchall()


def open_cases(workspace: Workspace) -> int:
    return int(run(workspace, "SELECT scoring.open_review_cases()")[0][0])


def labels(workspace: Workspace) -> Rows:
    return run(
        workspace,
        "SELECT user_id, is_fraud, source FROM fraud_labels WHERE user_id > 90000 ORDER BY label_id",
    )


def events(workspace: Workspace, case_id: int) -> list[str]:
    rows = run(
        workspace,
        "SELECT action FROM scoring.audit_events WHERE subject = %s ORDER BY event_id",
        f"case {case_id}",
    )
    return [str(action) for (action,) in rows]


def test_a_user_has_one_open_case(flagged: Workspace) -> None:
    insert(flagged, 90_001, 90_001, 90_002)
    assert open_cases(flagged) == 2
    insert(flagged, 90_001)
    assert open_cases(flagged) == 0
    rows = run(
        flagged,
        "SELECT user_id, state, transaction_count, amount_total::float, max_fraud_probability >= 0,"
        " due_at - opened_at < interval '1 day' FROM scoring.review_cases ORDER BY case_id",
    )
    assert rows == [(90_001, "open", 3, 31.5, True, True), (90_002, "open", 1, 10.5, True, True)]
    assert events(flagged, 1) == ["review.open", "review.extend"]


def test_what_comes_after_a_claim_is_another_case(flagged: Workspace) -> None:
    insert(flagged, 90_001)
    open_cases(flagged)
    run(flagged, "SELECT scoring.claim_review_case('ann')")
    insert(flagged, 90_001)
    assert open_cases(flagged) == 1
    run(flagged, "SELECT scoring.decide_review_cases(ARRAY[1], 'fraud', 'ann')")
    assert labels(flagged) == [(90_001, True, "review")]
    with pytest.raises(psycopg.errors.ObjectInUse, match="has the open case 2: decide that first"):
        run(flagged, "SELECT scoring.reopen_review_case(1, 'ann')")


def test_two_reviewers_get_different_cases_and_none_waits(flagged: Workspace) -> None:
    insert(flagged, 90_001, 90_002, 90_003)
    open_cases(flagged)
    claim = "SELECT case_id FROM scoring.claim_review_case(%s)"
    with flagged.connect() as first, flagged.connect() as second, first.transaction(), second.transaction():
        second.execute("SET LOCAL lock_timeout = '5s'")
        assert first.execute(claim, ["ann"]).fetchall() == [(1,)]
        assert second.execute(claim, ["bob"]).fetchall() == [(2,)]
    assert run(flagged, claim, "cy") == [(3,)]
    assert run(flagged, claim, "cy") == []
    assert run(flagged, "SELECT case_id FROM scoring.claim_review_case('ann', 1)") == [(1,)]
    with pytest.raises(psycopg.errors.ObjectInUse, match="case 2 is claimed by bob"):
        run(flagged, "SELECT scoring.claim_review_case('ann', 2)")
    with pytest.raises(psycopg.errors.ObjectInUse, match="case 2 is claimed by bob"):
        run(flagged, "SELECT scoring.release_review_case(2, 'ann')")
    run(flagged, "SELECT scoring.release_review_case(2, 'ann', true)")
    assert run(flagged, claim, "ann") == [(2,)]


def test_many_claims_at_the_same_time_share_no_case(flagged: Workspace) -> None:
    insert(flagged, *range(90_001, 90_013))
    open_cases(flagged)
    claimed: list[int] = []

    def claim(name: str) -> None:
        for _ in range(4):
            claimed.extend(
                case for (case,) in run(flagged, "SELECT case_id FROM scoring.claim_review_case(%s)", name)
            )

    threads = [threading.Thread(target=claim, args=(name,)) for name in ("ann", "bob", "cy", "dee")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == list(range(1, 13))


def test_a_decision_writes_labels_and_a_reopened_case_writes_newer_ones(flagged: Workspace) -> None:
    insert(flagged, 90_001, 90_001)
    open_cases(flagged)
    run(flagged, "SELECT scoring.decide_review_cases(ARRAY[1], 'fraud', 'ann', 'called the user', 2)")
    with pytest.raises(psycopg.errors.ObjectInUse, match="case 1 was decided fraud by ann; reopen it first"):
        run(flagged, "SELECT scoring.decide_review_cases(ARRAY[1], 'legitimate', 'bob')")
    run(flagged, "SELECT scoring.reopen_review_case(1, 'bob', 'the user called back')")
    run(flagged, "SELECT scoring.decide_review_cases(ARRAY[1], 'legitimate', 'bob')")
    assert labels(flagged) == [(90_001, fraud, "review") for fraud in (True, True, False, False)]
    assert events(flagged, 1) == ["review.open", "review.decide", "review.reopen", "review.decide"]
    run(flagged, "SELECT scoring.reopen_review_case(1, 'bob')")
    run(flagged, "SELECT scoring.decide_review_cases(ARRAY[1], 'unsure', 'bob')")
    assert len(labels(flagged)) == 4


def test_a_bulk_decision_is_all_or_none(flagged: Workspace) -> None:
    insert(flagged, 90_001, 90_002, 90_003)
    open_cases(flagged)
    run(flagged, "SELECT scoring.claim_review_case('bob', 3)")
    decide = "SELECT case_id FROM scoring.decide_review_cases(%s, %s, 'ann', NULL, %s)"
    with pytest.raises(psycopg.errors.ObjectInUse, match="case 3 is claimed by bob"):
        run(flagged, decide, [1, 2, 3], "fraud", None)
    with pytest.raises(psycopg.errors.NoDataFound, match="there is no case 99"):
        run(flagged, decide, [1, 99], "fraud", None)
    with pytest.raises(
        psycopg.errors.ObjectInUse, match="there are 2 transactions now, not 1: look at them first"
    ):
        run(flagged, decide, [1, 2], "fraud", 1)
    with pytest.raises(psycopg.errors.CheckViolation, match="decision is not fraud, legitimate or unsure"):
        run(flagged, decide, [1, 2], "guilty", 2)
    assert labels(flagged) == []
    assert len(run(flagged, decide, [1, 2], "legitimate", 2)) == 2
    assert labels(flagged) == [(90_001, False, "review"), (90_002, False, "review")]


def test_the_trail_only_grows(flagged: Workspace) -> None:
    insert(flagged, 90_001)
    open_cases(flagged)
    for statement in (
        "UPDATE scoring.audit_events SET actor = 'eve'",
        "DELETE FROM scoring.audit_events",
        "TRUNCATE scoring.audit_events",
    ):
        with (
            flagged.connect() as owner,
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="only grows"),
        ):
            owner.execute(statement.encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(flagged, statement)
    for statement in (
        "UPDATE scoring.review_cases SET state = 'open'",
        "INSERT INTO scoring.audit_events (actor, action, subject) VALUES ('eve', 'x', 'y')",
        "DELETE FROM scoring.review_case_transactions",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(flagged, statement)


def test_a_decision_replays(flagged: Workspace) -> None:
    insert(flagged, 90_001)
    rows = run(
        flagged,
        "SELECT r.* FROM transactions AS t, scoring.replay_decision(t.user_id, t.transaction_id) AS r"
        " WHERE t.user_id = 90001",
    )
    ((stored, replayed, is_equal),) = rows
    assert is_equal and stored == replayed
    with pytest.raises(psycopg.errors.NoDataFound, match="user 90001 has no transaction -1"):
        run(flagged, "SELECT scoring.replay_decision(90001, -1)")
