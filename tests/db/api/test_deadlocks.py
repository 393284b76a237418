"""An insert that lost a deadlock is tried again by the API, and not for ever."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import psycopg
import pytest

from api.inserts import DEADLOCK_TRIES, Inserts
from api.rows import Row


class Losing(Inserts):
    """Loses so many deadlocks before it gets through."""

    def __init__(self, deadlocks: int) -> None:
        super().__init__(cast(Any, None), 1)
        self.left = deadlocks
        self.tries = 0

    async def _all(self, query: str, values: Row, bound_s: float | None = None) -> list[Row]:
        self.tries += 1
        if self.left:
            self.left -= 1
            raise psycopg.errors.DeadlockDetected("deadlock detected")
        return [values]


def test_it_is_tried_again() -> None:
    inserts = Losing(DEADLOCK_TRIES - 1)
    assert asyncio.run(inserts.insert({"user_id": 1})) == ({"user_id": 1}, True)
    assert inserts.tries == DEADLOCK_TRIES


def test_and_not_for_ever() -> None:
    inserts = Losing(DEADLOCK_TRIES)
    with pytest.raises(psycopg.errors.DeadlockDetected):
        asyncio.run(inserts.insert({"user_id": 1}))
    assert inserts.tries == DEADLOCK_TRIES
