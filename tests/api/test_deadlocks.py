"""An insert that lost a deadlock is tried again by the API, and not for ever."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import psycopg
import pytest

from api.repository import DEADLOCK_TRIES, Repository, Row


class Losing(Repository):
    """Loses so many deadlocks before it gets through."""

    def __init__(self, deadlocks: int) -> None:
        super().__init__(cast(Any, None))
        self.left = deadlocks
        self.tries = 0

    async def _all(self, query: str, values: Row) -> list[Row]:
        self.tries += 1
        if self.left:
            self.left -= 1
            raise psycopg.errors.DeadlockDetected("deadlock detected")
        return [values]


def test_it_is_tried_again() -> None:
    repository = Losing(DEADLOCK_TRIES - 1)
    assert asyncio.run(repository.insert_transaction({"user_id": 1})) == ({"user_id": 1}, True)
    assert repository.tries == DEADLOCK_TRIES


def test_and_not_for_ever() -> None:
    repository = Losing(DEADLOCK_TRIES)
    with pytest.raises(psycopg.errors.DeadlockDetected):
        asyncio.run(repository.insert_transaction({"user_id": 1}))
    assert repository.tries == DEADLOCK_TRIES
