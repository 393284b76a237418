"""Micro-batching: batches, order, errors and partition keys, without a database."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

from api.micro_batcher import MicroBatcher


def test_items_gather_while_a_batch_is_in_flight() -> None:
    batches: list[list[int]] = []

    async def process(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        await asyncio.sleep(0.01)
        return [item * 2 for item in items]

    async def run() -> list[int]:
        batcher = MicroBatcher(process, max_in_flight=1, max_batch_size=8)
        return await asyncio.gather(*(batcher(n) for n in range(20)))

    assert asyncio.run(run()) == [n * 2 for n in range(20)]
    assert [len(batch) for batch in batches] == [8, 8, 4]


def test_one_bad_item_fails_alone_and_other_errors_reach_the_whole_batch() -> None:
    async def process(items: Sequence[int]) -> list[int]:
        if 3 in items:
            raise ValueError("three")
        if 7 in items:
            raise OSError("gone")
        return list(items)

    async def run(bad: int) -> list[int | BaseException]:
        batcher = MicroBatcher(process, per_item_errors=(ValueError,), max_in_flight=1)
        return await asyncio.gather(*(batcher(n) for n in (1, bad, 2)), return_exceptions=True)

    results = asyncio.run(run(3))
    assert results[0] == 1 and isinstance(results[1], ValueError) and results[2] == 2
    assert all(isinstance(result, OSError) for result in asyncio.run(run(7)))


def test_a_canceled_caller_does_not_disturb_the_others() -> None:
    async def process(items: Sequence[int]) -> list[int]:
        await asyncio.sleep(0.02)
        return list(items)

    async def run() -> int:
        batcher = MicroBatcher(process, max_in_flight=1)
        first = asyncio.create_task(batcher(1))
        canceled = asyncio.create_task(batcher(2))
        await asyncio.sleep(0.005)
        canceled.cancel()
        assert await first == 1
        return await batcher(3)

    assert asyncio.run(run()) == 3


def test_waiting_items_leave_while_a_slow_batch_is_in_flight() -> None:
    async def run() -> list[int]:
        others_returned = asyncio.Event()

        async def process(items: Sequence[int]) -> list[int]:
            if items[0] == 0:
                await others_returned.wait()
            return list(items)

        batcher = MicroBatcher(process)
        first = asyncio.create_task(batcher(0))
        await asyncio.sleep(0)
        results = await asyncio.wait_for(asyncio.gather(*(batcher(n) for n in (1, 2, 3))), 60)
        others_returned.set()
        return [await first, *results]

    assert asyncio.run(run()) == [0, 1, 2, 3]


def test_items_that_wait_for_a_fast_batch_share_the_next() -> None:
    batches: list[list[int]] = []

    async def process(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        await asyncio.sleep(0.02)
        return list(items)

    async def run() -> None:
        batcher = MicroBatcher(process, max_wait_s=60)
        tasks = []
        for number in range(5):
            tasks.append(asyncio.create_task(batcher(number)))
            await asyncio.sleep(0)
        assert await asyncio.gather(*tasks) == [0, 1, 2, 3, 4]

    asyncio.run(run())
    assert batches == [[0], [1, 2, 3, 4]]


def test_items_beyond_a_full_batch_do_not_wait() -> None:
    sizes: list[int] = []

    async def process(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        await asyncio.sleep(0.05)
        return list(items)

    async def run() -> float:
        batcher = MicroBatcher(process, max_batch_size=4, max_wait_s=30)
        started = time.perf_counter()
        await asyncio.gather(*(batcher(n) for n in range(8)))
        return time.perf_counter() - started

    assert asyncio.run(run()) < 20
    assert sizes == [4, 4]


def test_items_of_one_key_keep_their_order_and_are_never_in_two_batches() -> None:
    busy_keys: set[int] = set()
    batches: list[list[tuple[int, int]]] = []

    async def process(items: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        keys = {key for key, _ in items}
        assert not keys & busy_keys
        busy_keys.update(keys)
        batches.append(list(items))
        await asyncio.sleep(0.001 * random.random())
        busy_keys.difference_update(keys)
        return list(items)

    async def run() -> None:
        batcher: MicroBatcher[tuple[int, int], tuple[int, int]] = MicroBatcher(
            process, partition_key=lambda item: item[0], max_batch_size=4, max_in_flight=3
        )
        arrivals: list[tuple[int, int]] = []

        async def caller(number: int) -> None:
            await asyncio.sleep(0.02 * random.random())
            arrivals.append((number % 5, number))
            assert await batcher(arrivals[-1]) == (number % 5, number)

        await asyncio.gather(*(caller(number) for number in range(200)))
        await batcher.drain()
        for key in range(5):
            processed = [item for batch in batches for item in batch if item[0] == key]
            assert processed == [item for item in arrivals if item[0] == key]

    asyncio.run(run())
    assert max(len(batch) for batch in batches) == 4
