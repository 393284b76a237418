"""Questions that wait together are asked together: one statement for all of them, and no waiting for more.

While a statement is under way, new questions gather; when it comes back, all of them go out in the next one. A
single caller gets the latency of a single statement, many callers share its cost. Where a statement takes long (a
slow disk, many rows) those who wait go out beside it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

# A few rows on a quick disk take about one millisecond, and fewer statements with more rows each are cheaper.
PATIENCE_S = 0.002
Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Batcher(Generic[Question, Answer]):
    """Runs `ask` over lists of questions; its answers come in the same order.

    A failure reaches every caller of the list, except that `is_of_one` failures, which one question causes,
    make each be asked by itself, so that nobody suffers from another's question.

    Questions with the same `subject` go out in the order of their arrival and never in two lists at a time: while
    one of them is under way the others wait, and let those of other subjects pass.

    `patience_s` is how long a question waits for the list under way to come back, before another one goes out
    beside it, of which there may be `max_flights` at a time. When a list leaves some behind, they do not wait.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]],
        *,
        is_of_one: tuple[type[Exception], ...] = (),
        subject: Callable[[Question], Hashable] | None = None,
        max_questions: int = 64,
        max_flights: int = 2,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._ask, self._is_of_one, self._subject = ask, is_of_one, subject
        self._max_questions, self._max_flights, self._patience_s = max_questions, max_flights, patience_s
        self._waiting: deque[tuple[Question, asyncio.Future[Answer]]] = deque()
        self._flights: set[asyncio.Task[None]] = set()
        self._flying = 0
        self._timer: asyncio.TimerHandle | None = None
        self._under_way: set[Hashable] = set()

    async def __call__(self, question: Question) -> Answer:
        """The answer to one question."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((question, answer))
        if self._flying == 0:
            self._start()
        elif self._timer is None and self._flying < self._max_flights:
            self._timer = loop.call_later(self._patience_s, self._lose_patience)
        return await answer

    def _start(self) -> None:
        if self._flying < self._max_flights:
            self._flying += 1
            flight = asyncio.create_task(self._fly())
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)

    def _lose_patience(self) -> None:
        self._timer = None
        self._start()

    async def landed(self) -> None:
        """Returns when nothing is under way any more."""
        while self._flights:
            await asyncio.wait(self._flights)

    async def _fly(self) -> None:
        try:
            # What it leaves behind has its subject in another flight, which looks again when it comes back.
            while batch := self._board():
                subjects = {self._subject(question) for question, _ in batch} if self._subject else set()
                self._under_way |= subjects
                try:
                    await self._answer(batch)
                finally:
                    self._under_way -= subjects
        finally:
            self._flying -= 1  # at once: whoever comes before the task is done with must not count on it

    def _board(self) -> list[tuple[Question, asyncio.Future[Answer]]]:
        """The next questions that may go out."""
        batch: list[tuple[Question, asyncio.Future[Answer]]] = []
        stay: list[tuple[Question, asyncio.Future[Answer]]] = []
        while self._waiting and len(batch) < self._max_questions:
            one = self._waiting.popleft()
            question, answer = one
            if answer.done():  # a caller who has gone (time-out) is not asked for
                continue
            is_held = self._subject is not None and self._subject(question) in self._under_way
            (stay if is_held else batch).append(one)
        if self._timer is not None:  # it was for those who go now
            self._timer.cancel()
            self._timer = None
        if self._waiting:  # more than one list takes
            self._start()
        self._waiting.extendleft(reversed(stay))
        return batch

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
