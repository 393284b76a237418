"""Inserts of several callers in one statement: whose row is whose, and that nobody pays for another."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from api.batcher import Batcher
from api.inserts import Inserts, assign
from api.rows import Row
from tests.fix_database import Workspace
from tests.waiting import LONG_S

Result = TypeVar("Result")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that takes long because the machine is busy is not given up for."""
    monkeypatch.setattr("api.inserts.TOGETHER_S", LONG_S)


@pytest.fixture
def migrated(migrated: Workspace) -> Workspace:
    """Nobody is stored without the user's lock because the machine is busy."""
    with migrated.connect() as connection:
        connection.execute("SELECT scoring.set_policy(p_lock_timeout_ms => 300000)")
    return migrated


MOMENT = datetime(2026, 11, 1, 12, tzinfo=UTC)


def asked(user_id: int, amount: str, **rest: Any) -> Row:
    blank = dict.fromkeys(("merchant_id", "location", "occurred_at", "idempotency_key"))
    return {"user_id": user_id, "amount": Decimal(amount), **blank, **rest}


def stored(one: Row, transaction_id: int, at: datetime = MOMENT) -> Row:
    return one | {"transaction_id": transaction_id, "occurred_at": one["occurred_at"] or at}


def ids(answers: list[Row | None]) -> list[int | None]:
    return [None if one is None else one["transaction_id"] for one in answers]


def test_rows_go_to_those_who_say_the_same_in_whatever_order_they_come() -> None:
    some = [
        asked(1, "5"), asked(1, "6"), asked(2, "5"), asked(1, "5.00", location="DE"), asked(3, "1"),
        asked(1, "5", occurred_at=MOMENT - timedelta(days=1)), asked(4, "9", idempotency_key="k"),
        asked(4, "9"), asked(5, "9", idempotency_key="k"),
    ]  # fmt: skip
    busy = {4, 8}
    rows = [stored(one, number) for number, one in enumerate(some) if number not in busy]
    for seed in range(50):
        random.Random(seed).shuffle(rows)
        assert ids(assign(some, rows)) == [None if n in busy else n for n in range(len(some))]


def test_a_key_used_twice_belongs_to_the_one_that_was_stored() -> None:
    first, other = asked(1, "5", idempotency_key="k"), asked(1, "6", idempotency_key="k")
    assert ids(assign([first, other, first], [stored(first, 7)])) == [7, None, None]
    assert ids(assign([other, first], [stored(first, 7)])) == [None, 7]


def test_rows_that_a_foreign_trigger_changed_come_in_their_order() -> None:
    some = [asked(1, "5", location="de"), asked(1, "6", location="fr"), asked(1, "7", location="DE")]
    rows = [stored(one | {"location": one["location"].upper()}, n) for n, one in enumerate(some)]
    assert ids(assign(some, rows)) == [0, 1, 2]


def test_rows_that_nobody_asked_for_or_that_lack_are_an_error() -> None:
    one = asked(1, "5")
    for some, rows in (
        ([one], [stored(one, 1), stored(one, 2)]),
        ([one, one], [stored(one, 1)]),
        ([one], [stored(asked(2, "5"), 1)]),
    ):
        with pytest.raises(RuntimeError, match="other rows"):
            assign(some, rows)


def test_questions_of_one_subject_never_go_out_in_two_lists() -> None:
    under_way: set[int] = set()
    lists: list[list[tuple[int, int]]] = []

    async def ask(questions: Any) -> list[tuple[int, int]]:
        subjects = {subject for subject, _ in questions}
        assert not subjects & under_way
        under_way.update(subjects)
        lists.append(list(questions))
        await asyncio.sleep(0.001 * random.random())
        under_way.difference_update(subjects)
        return list(questions)

    async def run() -> None:
        batcher: Batcher[tuple[int, int], tuple[int, int]] = Batcher(
            ask, subject=lambda question: question[0], max_questions=4, max_flights=3
        )

        async def caller(number: int) -> None:
            await asyncio.sleep(0.02 * random.random())
            order.append((number % 5, number))
            assert await batcher(order[-1]) == (number % 5, number)

        order: list[tuple[int, int]] = []
        await asyncio.gather(*(caller(number) for number in range(200)))
        await batcher.landed()
        for subject in range(5):
            went = [one for batch in lists for one in batch if one[0] == subject]
            assert went == [one for one in order if one[0] == subject]

    asyncio.run(run())
    assert max(len(batch) for batch in lists) == 4


def with_inserts(
    url: str, work: Callable[[Inserts], Awaitable[Result]], *, max_rows: int = 32, connections: int = 10
) -> Result:
    async def run() -> Result:
        async with AsyncConnectionPool(
            url, open=False, min_size=2, max_size=connections, kwargs={"autocommit": True}
        ) as pool:
            return await work(Inserts(pool, max_rows))

    return asyncio.run(run())


def together(inserts: Inserts, some: list[Row]) -> Awaitable[list[Any]]:
    return asyncio.gather(*(inserts.insert(one) for one in some), return_exceptions=True)


def transactions_of(workspace: Workspace) -> int:
    with workspace.connect() as connection:
        row = connection.execute("SELECT count(DISTINCT xmin::text) FROM transactions").fetchone()
    assert row is not None
    return int(row[0])


def test_those_that_come_together_share_one_transaction(migrated: Workspace) -> None:
    some = [asked(number % 7, f"{number}.25", location="DE") for number in range(30)]
    answers = with_inserts(migrated.url, lambda inserts: together(inserts, some))
    assert [(row["user_id"], row["amount"], is_new) for row, is_new in answers] == [
        (one["user_id"], one["amount"], True) for one in some
    ]
    assert len({row["transaction_id"] for row, _ in answers}) == 30
    assert transactions_of(migrated) == 1
    with migrated.connect() as connection:
        rows = connection.execute(
            "SELECT user_txns_before, amount FROM transactions WHERE user_id = 3 ORDER BY transaction_id"
        ).fetchall()
    assert rows == [(n, one["amount"]) for n, one in enumerate(one for one in some if one["user_id"] == 3)]


def test_by_themselves_where_that_is_set(migrated: Workspace) -> None:
    some = [asked(1, str(number)) for number in range(8)]
    answers = with_inserts(migrated.url, lambda inserts: together(inserts, some), max_rows=1)
    assert [is_new for _, is_new in answers] == [True] * 8
    assert transactions_of(migrated) == 8


def test_a_key_twice_in_one_statement_gets_the_first_answer(migrated: Workspace) -> None:
    some = [asked(1, "5", idempotency_key="k"), asked(1, "5", idempotency_key="k"), asked(2, "5", idempotency_key="k"),
            asked(1, "6", idempotency_key="k")]  # fmt: skip
    answers = with_inserts(migrated.url, lambda inserts: together(inserts, some))
    assert [is_new for _, is_new in answers] == [True, False, True, False]
    first = answers[0][0]["transaction_id"]
    assert [row["transaction_id"] == first for row, _ in answers] == [True, True, False, True]
    again = with_inserts(migrated.url, lambda inserts: together(inserts, some))
    assert [is_new for _, is_new in again] == [False] * 4
    assert [row["transaction_id"] for row, _ in again] == [row["transaction_id"] for row, _ in answers]


def test_one_bad_row_fails_alone(migrated: Workspace) -> None:
    some = [asked(number, "-1" if number == 4 else "1") for number in range(9)]
    answers = with_inserts(migrated.url, lambda inserts: together(inserts, some))
    assert isinstance(answers.pop(4), psycopg.errors.CheckViolation)
    assert [row["user_id"] for row, is_new in answers if is_new] == [0, 1, 2, 3, 5, 6, 7, 8]


def test_what_the_policy_refuses_is_refused_each_by_itself(migrated: Workspace) -> None:
    with migrated.connect() as connection:
        connection.execute("SELECT scoring.set_policy('refuse', NULL)")
    some = [asked(number, "1") for number in range(4)]
    answers = with_inserts(migrated.url, lambda inserts: together(inserts, some))
    assert {type(one) for one in answers} == {psycopg.errors.ObjectNotInPrerequisiteState}
    assert transactions_of(migrated) == 0


def test_nobody_waits_for_the_lock_of_somebody_elses_user(migrated: Workspace) -> None:
    some = [asked(number, "1") for number in range(1, 21)]

    async def work(inserts: Inserts) -> None:
        async with await psycopg.AsyncConnection.connect(migrated.url) as holder:
            await holder.execute("SELECT pg_advisory_xact_lock(7265, hashint8(7) & 4095)")
            tasks = [asyncio.create_task(inserts.insert(one)) for one in [*some, *some]]
            others = [task for task, one in zip(tasks, [*some, *some], strict=True) if one["user_id"] != 7]
            # While the lock is held: whoever waited for it would wait until the time is over.
            await asyncio.wait_for(asyncio.gather(*others), LONG_S)
            assert [task.done() for task in tasks if task not in others] == [False, False]
            await holder.rollback()
            await asyncio.gather(*tasks)

    with_inserts(migrated.url, work)
    with migrated.connect() as connection:
        rows = connection.execute("SELECT user_txns_before FROM transactions WHERE user_id = 7").fetchall()
    assert sorted(rows) == [(0,), (1,)]


def test_no_deadlock_with_a_transaction_of_several_users(migrated: Workspace) -> None:
    some = [asked(number % 4, "1") for number in range(16)]
    insert = "INSERT INTO transactions (user_id, amount) VALUES (%s, 2)"

    async def work(inserts: Inserts) -> list[Any]:
        async def client(users: list[int]) -> None:
            async with await psycopg.AsyncConnection.connect(migrated.url) as connection:
                for _ in range(10):
                    async with connection.transaction():
                        for user in users:
                            await connection.execute(insert, [user])

        clients = asyncio.gather(client([0, 1, 2]), client([0, 1, 3]))
        answers = [await together(inserts, some) for _ in range(10)]
        await clients
        return [one for batch in answers for one in batch]

    assert all(is_new for _, is_new in with_inserts(migrated.url, work))
    assert counts(migrated) == {0: 60, 1: 60, 2: 50, 3: 50}


def counts(workspace: Workspace) -> dict[int, int]:
    """Rows of each user, of whom each saw exactly those before it."""
    with workspace.connect() as connection:
        rows = connection.execute(
            "SELECT user_id, array_agg(user_txns_before ORDER BY received_at) FROM transactions GROUP BY user_id"
        ).fetchall()
    for user, before in rows:
        assert before == list(range(len(before))), user
    return {user: len(before) for user, before in rows}


@pytest.mark.parametrize("users", [1, 3])
def test_together_alone_and_over_sql_everybody_sees_what_came_before(migrated: Workspace, users: int) -> None:
    """A statement's snapshot is older than the locks that it takes; the trigger's own reads are not."""
    each, sessions = 60, 4

    def over_sql(number: int) -> None:
        with migrated.connect() as connection:
            for n in range(each):
                connection.execute("INSERT INTO transactions (user_id, amount) VALUES (%s, 1)", [n % users])

    def over_api(number: int) -> None:
        async def work(inserts: Inserts) -> None:
            async def caller() -> None:
                for n in range(each // 10):
                    assert (await inserts.insert(asked(n % users, "1")))[1]

            await asyncio.gather(*(caller() for _ in range(10)))

        with_inserts(migrated.url, work, max_rows=32 if number else 1)

    with ThreadPoolExecutor(sessions + 3) as threads:
        work = [*(threads.submit(over_sql, n) for n in range(sessions)),
                *(threads.submit(over_api, n) for n in range(3))]  # fmt: skip
        for one in work:
            one.result()
    assert sum(counts(migrated).values()) == each * (sessions + 3)


def test_sixteen_clients_with_the_same_keys_store_each_once(migrated: Workspace) -> None:
    keys = [asked(number % 5, f"{number}", idempotency_key=f"key {number}") for number in range(40)]

    new: list[str] = []

    def client(number: int) -> dict[str, int]:
        some = keys[:]
        random.Random(number).shuffle(some)
        answers = with_inserts(
            migrated.url, lambda inserts: together(inserts, some), max_rows=1 + number * 2, connections=4
        )
        new.extend(one["idempotency_key"] for one, (_, is_new) in zip(some, answers, strict=True) if is_new)
        return {
            one["idempotency_key"]: row["transaction_id"] for one, (row, _) in zip(some, answers, strict=True)
        }

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(client, range(16)))
    assert all(one == answers[0] for one in answers)
    assert sorted(new) == sorted(one["idempotency_key"] for one in keys)
    assert counts(migrated) == dict.fromkeys(range(5), 8)


def test_scores_of_one_statement_see_the_rows_before_them(scored: Workspace) -> None:
    """The model's features and not only the running totals: its functions are STABLE, with the trigger's snapshot."""
    some, user = [asked(987_654, "12.5", location="DE") for _ in range(30)], 987_654
    with scored.connect() as connection:
        connection.execute("SELECT scoring.set_policy(p_lock_timeout_ms => 300000)")

    def over_sql() -> None:
        with scored.connect() as connection:
            for _ in range(10):
                connection.execute("INSERT INTO transactions (user_id, amount) VALUES (%s, 1)", [user])

    with ThreadPoolExecutor(3) as threads:
        beside = [threads.submit(over_sql) for _ in range(3)]
        answers = with_inserts(scored.url, lambda inserts: together(inserts, some))
        for one in beside:
            one.result()
    assert all(row["model_version"] for row, _ in answers)
    with scored.connect() as connection:
        rows = connection.execute(
            "SELECT t.feature_values[array_position(m.feature_names, 'user_txn_count_1h')]"
            " FROM transactions AS t JOIN model_versions AS m ON m.version = t.model_version"
            " WHERE t.user_id = %s ORDER BY t.received_at",
            [user],
        ).fetchall()
    assert [count for (count,) in rows] == list(range(60))
