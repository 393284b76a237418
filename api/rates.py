"""How often a client came: fixed windows, counted in the process."""

from __future__ import annotations

import time
from collections.abc import Callable

from limits import RateLimitItem


class Windows:
    """Counts calls by key at one rate; a window begins with the first call and ends after the rate's time.

    A call costs the same however many clients there are. The asynchronous store of `limits` starts a task for nearly
    every call that goes through all of them.
    """

    def __init__(self, rate: RateLimitItem, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._most, self._seconds = rate.amount, rate.get_expiry()
        self._clock = clock
        self._seen: dict[str, tuple[float, int]] = {}
        self._sweep_at = 0.0

    def __len__(self) -> int:
        return len(self._seen)

    def hit(self, key: str) -> bool:
        """Count a call; whether it is within the rate."""
        now = self._clock()
        if now >= self._sweep_at:
            # Forget those who have not come again: once in a window's time, however many there are.
            self._seen = {name: window for name, window in self._seen.items() if now < window[0]}
            self._sweep_at = now + self._seconds
        ends, count = self._seen.get(key, (0.0, 0))
        if now >= ends:
            ends, count = now + self._seconds, 0
        self._seen[key] = (ends, count + 1)
        return count < self._most
