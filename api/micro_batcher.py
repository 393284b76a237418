"""Micro-batching: items that wait at the same time are processed by one call.

While a call is in flight, new items gather; when it returns, they go into the next one. A single caller gets the
latency of a single call, many callers share its cost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

# A few rows on a fast disk take about one millisecond, and fewer statements with more rows each are cheaper.
MAX_WAIT_S = 0.002
Item = TypeVar("Item")
Result = TypeVar("Result")
Waiting = tuple[Item, "asyncio.Future[Result]"]


class MicroBatcher(Generic[Item, Result]):
    """Calls `process` with batches of items; its results come in the same order.

    Args:
        process: Processes a batch.
        per_item_errors: Errors that one item causes: its batch is then processed item by item. Any other error
            reaches every caller of the batch.
        partition_key: Items of one key are processed in their order, and never in two batches at a time.
        max_batch_size: Items per batch.
        max_in_flight: Batches at a time.
        max_wait_s: How long an item waits for the batch in flight before it goes into another.
    """

    def __init__(
        self,
        process: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        per_item_errors: tuple[type[Exception], ...] = (),
        partition_key: Callable[[Item], Hashable] | None = None,
        max_batch_size: int = 64,
        max_in_flight: int = 2,
        max_wait_s: float = MAX_WAIT_S,
    ) -> None:
        self._process, self._per_item_errors, self._partition_key = process, per_item_errors, partition_key
        self._max_batch_size, self._max_in_flight, self._max_wait_s = (
            max_batch_size,
            max_in_flight,
            max_wait_s,
        )
        self._queue: deque[Waiting[Item, Result]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        self._timer: asyncio.TimerHandle | None = None
        self._busy_keys: set[Hashable] = set()

    async def __call__(self, item: Item) -> Result:
        """Return the result of one item."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()
        self._queue.append((item, result))
        if self._in_flight == 0:
            self._start()
        elif self._timer is None and self._in_flight < self._max_in_flight:
            self._timer = loop.call_later(self._max_wait_s, self._on_max_wait)
        return await result

    async def drain(self) -> None:
        """Return when no batch is in flight."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self) -> None:
        if self._in_flight < self._max_in_flight:
            self._in_flight += 1
            task = asyncio.create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _on_max_wait(self) -> None:
        self._timer = None
        self._start()

    async def _run(self) -> None:
        try:
            # An item left in the queue has its key in another batch, which takes it when it returns.
            while batch := self._next_batch():
                keys = {self._partition_key(item) for item, _ in batch} if self._partition_key else set()
                self._busy_keys |= keys
                try:
                    await self._process_batch(batch)
                finally:
                    self._busy_keys -= keys
        finally:
            self._in_flight -= 1

    def _next_batch(self) -> list[Waiting[Item, Result]]:
        batch: list[Waiting[Item, Result]] = []
        held: list[Waiting[Item, Result]] = []
        while self._queue and len(batch) < self._max_batch_size:
            waiting = self._queue.popleft()
            item, result = waiting
            if result.done():  # the caller has gone
                continue
            is_held = self._partition_key is not None and self._partition_key(item) in self._busy_keys
            (held if is_held else batch).append(waiting)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._queue:  # more than one batch takes
            self._start()
        self._queue.extendleft(reversed(held))
        return batch

    async def _process_batch(self, batch: list[Waiting[Item, Result]]) -> None:
        try:
            results = await self._process([item for item, _ in batch])
        except Exception as error:
            if len(batch) > 1 and isinstance(error, self._per_item_errors):
                for waiting in batch:
                    await self._process_batch([waiting])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)
