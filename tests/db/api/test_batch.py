"""POST /predict/batch, and questions that are asked together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.batcher import Batcher
from tests.db.api.conftest import Api, Count, problem

FEATURES = {"transaction_amount": 450.75, "num_txns_last_hour": 12}
RAW = {"user_id": 42, "amount": 450.75, "location": "DE", "occurred_at": "2026-11-01T12:00:00Z"}


def test_a_batch_is_answered_in_order_like_its_questions_alone(api: Api, rows_of: Count) -> None:
    items = [
        FEATURES | {"transaction_amount": 10.0 * n} if n % 3 else RAW | {"user_id": n} for n in range(30)
    ]
    before = rows_of("transactions")
    answer = api.client.post("/predict/batch", json={"items": items})
    assert answer.status_code == 200, answer.text
    alone = [api.client.post("/predict", json=item).json() for item in items]
    for one in alone:
        del one["message"]
    assert answer.json()["predictions"] == alone
    assert answer.json()["message"].startswith("30 predictions served successfully in ")
    assert rows_of("transactions") == before


@pytest.mark.parametrize(
    ("items", "field"),
    [([], "items"), ([FEATURES] * 1_001, "items"), ([FEATURES, FEATURES | {"transaction_amount": -1}], "items.1.transaction_amount"),
     ([RAW | {"occurred_at": "2100-01-01T00:00:00Z"}], "items.0.occurred_at"), ("x", "items")],
)  # fmt: skip
def test_a_bad_batch_is_refused_by_name(api: Api, items: object, field: str) -> None:
    errors = problem(api.client.post("/predict/batch", json={"items": items}), 422)["errors"]
    assert isinstance(errors, list) and [error["field"] for error in errors] == [field]


def test_a_thousand_questions(api: Api) -> None:
    answer = api.client.post("/predict/batch", json={"items": [FEATURES] * 1_000})
    assert len(answer.json()["predictions"]) == 1_000


def test_many_callers_get_their_own_answers(api: Api) -> None:
    amounts = [float(n) for n in range(1, 400)]
    alone = api.client.post("/predict/batch", json={"items": [{"transaction_amount": a} for a in amounts]})

    def ask(amount: float) -> float:
        answer = api.client.post("/predict", json={"transaction_amount": amount})
        return float(answer.json()["fraud_probability"])

    with ThreadPoolExecutor(16) as threads:
        together = list(threads.map(ask, amounts))
    assert together == [one["fraud_probability"] for one in alone.json()["predictions"]]
    assert len(set(together)) > 5


def test_questions_gather_while_others_are_under_way() -> None:
    batches: list[list[int]] = []

    async def ask(questions: Sequence[int]) -> list[int]:
        batches.append(list(questions))
        await asyncio.sleep(0.01)
        return [one * 2 for one in questions]

    async def run() -> list[int]:
        batcher = Batcher(ask, max_flights=1, max_questions=8)
        return await asyncio.gather(*(batcher(n) for n in range(20)))

    assert asyncio.run(run()) == [n * 2 for n in range(20)]
    assert [len(batch) for batch in batches] == [8, 8, 4]


def test_one_bad_question_harms_nobody_else() -> None:
    async def ask(questions: Sequence[int]) -> list[int]:
        if 3 in questions:
            raise ValueError("three")
        if 7 in questions:
            raise OSError("gone")
        return list(questions)

    async def run(bad: int) -> list[int | BaseException]:
        batcher = Batcher(ask, is_of_one=(ValueError,), max_flights=1)
        return await asyncio.gather(*(batcher(n) for n in (1, bad, 2)), return_exceptions=True)

    got = asyncio.run(run(3))
    assert got[0] == 1 and isinstance(got[1], ValueError) and got[2] == 2
    assert all(isinstance(one, OSError) for one in asyncio.run(run(7)))


def test_a_caller_who_leaves_does_not_disturb() -> None:
    async def ask(questions: Sequence[int]) -> list[int]:
        await asyncio.sleep(0.02)
        return list(questions)

    async def run() -> int:
        batcher = Batcher(ask, max_flights=1)
        first = asyncio.create_task(batcher(1))
        leaver = asyncio.create_task(batcher(2))
        await asyncio.sleep(0.005)
        leaver.cancel()
        assert await first == 1
        return await batcher(3)

    assert asyncio.run(run()) == 3
