"""Questions that wait together are asked together: one statement for all of them, and no waiting for more.

While a statement is under way, new questions gather; when it comes back, all of them go out in the next one. A
single caller gets the latency of a single statement, many callers share its cost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Batcher(Generic[Question, Answer]):
    """Runs `ask` over lists of questions; its answers come in the same order.

    A failure reaches every caller of the list, except that `is_of_one` failures, which one question causes,
    make each be asked by itself, so that nobody suffers from another's question.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]],
        *,
        is_of_one: tuple[type[Exception], ...] = (),
        max_questions: int = 64,
        max_flights: int = 2,
    ) -> None:
        self._ask, self._is_of_one = ask, is_of_one
        self._max_questions, self._max_flights = max_questions, max_flights
        self._waiting: deque[tuple[Question, asyncio.Future[Answer]]] = deque()
        self._flights: set[asyncio.Task[None]] = set()

    async def __call__(self, question: Question) -> Answer:
        """The answer to one question."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if len(self._flights) < self._max_flights:
            flight = asyncio.create_task(self._fly())
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)
        return await answer

    async def _fly(self) -> None:
        while self._waiting:
            count = min(len(self._waiting), self._max_questions)
            batch = [self._waiting.popleft() for _ in range(count)]
            # A caller who has gone (time-out) is not asked for.
            batch = [(question, answer) for question, answer in batch if not answer.done()]
            if batch:
                await self._answer(batch)

    async def _answer(self, batch: list[tuple[Question, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._ask([question for question, _ in batch])
        except self._is_of_one as error:
            if len(batch) > 1:
                for one in batch:
                    await self._answer([one])
            else:
                _refuse(batch, error)
        except Exception as error:
            _refuse(batch, error)
        else:
            for (_, waiting), answer in zip(batch, answers, strict=True):
                if not waiting.done():
                    waiting.set_result(answer)


def _refuse(batch: list[tuple[Question, asyncio.Future[Answer]]], error: Exception) -> None:
    for _, waiting in batch:
        if not waiting.done():
            waiting.set_exception(error)
