"""The second computation of velocity agrees with the trigger, and notices when a value is another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psycopg
import pytest

from benchmarks.chaos.checks import check_velocity
from benchmarks.chaos.stack import ChaosStack
from rowguard.database import fetch_one
from tests.db.features.builds import built_hash8
from tests.fix_database import Workspace
from tests.oracle.velocity_oracle import Recomputed, recompute

INSERT = (
    "INSERT INTO transactions (user_id, amount, location, occurred_at)"
    " SELECT 901, amount, location, now() - minutes * interval '1 minute'"
    " FROM (VALUES (10.5, 'DE', 3000), (7.25, 'FR', 600), (19.99, NULL, 20), (3.0001, 'DE', 45), (8, 'FR', 1))"
    " AS v (amount, location, minutes)"
)
ONE = "INSERT INTO transactions (user_id, amount, location) VALUES (901, %s, 'DE')"
Connection = psycopg.Connection[Any]


def test_it_agrees_with_the_trigger_and_notices_a_changed_value(scored: Workspace) -> None:
    with scored.connect() as connection:
        for _ in range(3):
            connection.execute(INSERT)
        found = recompute(connection, limit=15)
        assert (found.rows >= 15, found.wrong) == (True, 0)
        connection.execute(
            "UPDATE transactions SET feature_values[3] = feature_values[3] + 1"
            " WHERE user_id = 901 AND amount = 8 AND location = 'FR'"
        )
        found = recompute(connection, limit=15)
        assert found.wrong == 3
        assert "user 901" in found.examples[0]


def test_sums_of_the_largest_amounts_are_exact(scored: Workspace) -> None:
    with scored.connect() as connection:
        for cents in (9, 8, 6, 1):
            connection.execute(ONE, [f"999999999999.999{cents}"])
        assert recompute(connection, limit=4) == Recomputed(4, 28, 0, ())


def test_other_time_zones_and_their_summer(scored: Workspace) -> None:
    """A day on the clock of the wall has 25 hours when summer ends."""
    with scored.connect() as connection:
        connection.execute("SET TIME ZONE 'Europe/Berlin'")
        for at in ("2025-10-22 12:30", "2025-10-25 23:30", "2025-10-29 12:00"):
            connection.execute(
                "INSERT INTO transactions (user_id, amount, occurred_at) VALUES (901, 5, %s::timestamptz)",
                [at],
            )
        assert recompute(connection, limit=3) == Recomputed(3, 21, 0, ())


@pytest.fixture
def passed_by(scored: Workspace) -> Workspace:
    """Rows of one user, named by their amounts, in the order of their stamps: 3 and 5 hold the lock, 7 waits for 5 in vain
    and is stored without it, 11 gets the lock before 7 is committed, 13 comes after."""
    with (
        scored.connect() as later,
        psycopg.connect(scored.url) as holder,
        psycopg.connect(scored.url) as waiter,
    ):
        later.execute("SELECT scoring.set_failure_policy(p_lock_timeout_ms => 100)")
        later.execute(ONE, [3])
        holder.execute(ONE, [5])
        waiter.execute(ONE, [7])
        holder.commit()
        later.execute(ONE, [11])
        waiter.commit()
        later.execute(ONE, [13])
        order = later.execute(
            "SELECT array_agg(amount::int ORDER BY received_at),"
            " array_agg(amount::int) FILTER (WHERE features_caveat = 'lock_timeout')"
            " FROM transactions WHERE user_id = 901"
        ).fetchone()
        assert order == ([3, 5, 7, 11, 13], [7])
        # A tenth of a second apart, however busy the machine is: some tests move a stamp by so many.
        later.execute(
            "UPDATE transactions AS t SET received_at = s.at,"
            " scored_at = CASE WHEN t.scored_at = t.received_at THEN s.at ELSE t.scored_at END"
            " FROM (SELECT transaction_id, min(received_at) OVER ()"
            "   + row_number() OVER (ORDER BY received_at) * interval '100 milliseconds' AS at"
            "   FROM transactions WHERE user_id = 901) AS s"
            " WHERE t.user_id = 901 AND t.transaction_id = s.transaction_id"
        )
    return scored


def test_what_is_stored_is_what_was_visible(passed_by: Workspace) -> None:
    with passed_by.connect() as connection:
        for amount, visible in ((3, []), (5, [3]), (11, [3, 5]), (13, [3, 5, 7, 11])):
            assert _stored(connection, amount) == _as_if_only(connection, amount, visible)


def test_a_decision_next_to_an_open_row_is_right_without_it_and_with_it(passed_by: Workspace) -> None:
    with passed_by.connect() as connection:
        missed = frozenset({(901, _number(connection, 11))})
        assert recompute(connection, limit=4) == Recomputed(4, 28, 0, (), missed)
        _store(connection, 11, _as_if_only(connection, 11, [3, 5, 7]))
        assert recompute(connection, limit=4) == Recomputed(4, 28, 0, ())


def test_a_row_without_its_lock_is_not_compared_itself(passed_by: Workspace) -> None:
    with passed_by.connect() as connection:
        found = recompute(connection, limit=4)
        _store(connection, 7, _as_if_only(connection, 7, []))
        assert recompute(connection, limit=4) == found
        _store(connection, 5, _as_if_only(connection, 5, []))
        assert recompute(connection, limit=4).wrong > 0


def test_one_value_of_each_kind_is_not_an_answer(passed_by: Workspace) -> None:
    with passed_by.connect() as connection:
        values = _stored(connection, 11)
        values[3] = _as_if_only(connection, 11, [3, 5, 7])[3]
        _store(connection, 11, values)
        assert recompute(connection, limit=4).wrong > 0


def test_what_was_seen_once_is_seen_from_then_on(passed_by: Workspace) -> None:
    with passed_by.connect() as connection:
        _store(connection, 13, _as_if_only(connection, 13, [3, 5, 11]))
        assert recompute(connection, limit=4).wrong == 0  # not committed then either, for all that is known
        _store(connection, 11, _as_if_only(connection, 11, [3, 5, 7]))
        found = recompute(connection, limit=4)
        assert found.wrong > 0 and f"user 901, {_number(connection, 13)}, " in found.examples[0]


def test_no_transaction_is_open_for_ever(passed_by: Workspace) -> None:
    """Otherwise a row that no reading ever counts would pass."""
    with passed_by.connect() as connection:
        _move(connection, 7, "-4 seconds")
        assert recompute(connection, limit=4).wrong == 0
        _move(connection, 7, "-2 seconds")
        assert recompute(connection, limit=4).wrong == 7
        assert recompute(connection, limit=4, open_for=timedelta(seconds=10)).wrong == 0


def test_a_row_that_was_stamped_while_a_decision_was_about_to_read(passed_by: Workspace) -> None:
    with passed_by.connect() as connection:
        _move(connection, 7, "0.5 seconds")
        found = recompute(connection, limit=4)
        assert (found.wrong, found.near_open_rows) == (0, frozenset({(901, _number(connection, 13))}))
        _move(connection, 7, "1 second")
        assert recompute(connection, limit=4).wrong > 0


@pytest.mark.slow
def test_rows_that_are_right_are_not_held_against_the_training_set(passed_by: Workspace) -> None:
    stack = cast(ChaosStack, passed_by)  # of which the check uses what a workspace has
    found = check_velocity(stack, None)
    assert (found.compared, found.differ, found.recomputed.wrong) == (5, 0, 0)
    after_a_later_fault = check_velocity(stack, datetime.now(UTC) + timedelta(minutes=1))
    assert (after_a_later_fault.differ, after_a_later_fault.recomputed.rows) == (0, 0)
    with passed_by.connect() as connection:
        _store(connection, 11, _as_if_only(connection, 11, [3]))
    found = check_velocity(stack, None)
    assert found.differ == 1 and found.recomputed.wrong > 0


def _number(connection: Connection, amount: int) -> int:
    return int(_fetch(connection, "transaction_id", amount))


def _stored(connection: Connection, amount: int) -> list[float | None]:
    return list(_fetch(connection, "feature_values", amount))


def _fetch(connection: Connection, column: str, amount: int) -> Any:
    query = f"SELECT {column} FROM transactions WHERE user_id = 901 AND amount = {amount}"
    return fetch_one(connection, query)[0]


def _store(connection: Connection, amount: int, values: list[float | None]) -> None:
    connection.execute(
        "UPDATE transactions SET feature_values = %s::real[] WHERE user_id = 901 AND amount = %s",
        [values, amount],
    )


def _move(connection: Connection, amount: int, by: str) -> None:
    connection.execute(
        "UPDATE transactions SET received_at = received_at + %s::interval WHERE user_id = 901 AND amount = %s",
        [by, amount],
    )


def _as_if_only(connection: Connection, amount: int, visible: list[int]) -> list[float | None]:
    """The row's features, read one by one from a table in which its user has these rows alone."""
    query = (
        f"SELECT features.row_scan_feature_values_{built_hash8(connection)}("
        "ROW(901, %(amount)s, %(at)s, NULL, 'DE')::scoring.scoring_request)"
    )
    with connection.transaction(force_rollback=True):
        values = {"amount": amount, "at": _fetch(connection, "occurred_at", amount)}
        connection.execute("DELETE FROM transactions WHERE user_id = 901 AND amount <> ALL(%s)", [visible])
        return list(fetch_one(connection, query, values)[0])
